package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// number lexes an integer or float literal; digits may be set apart by _.
func (l *lexer) number() error {
	text := l.rest()
	n := digits(text, isDecimal)
	kind := tokenInt
	switch {
	case len(text) > 2 && text[0] == '0' && based(text[1]) != nil:
		n = 2 + digits(text[2:], based(text[1]))
	case !l.afterDot():
		if tail := fraction(text[n:]); tail > 0 {
			kind, n = tokenFloat, n+tail
		}
	}
	if n < len(text) && isNamePart(rune(text[n])) || text[n-1] == '_' {
		return l.fail("invalid number %s", quote(text[:n]))
	}
	l.emit(kind, strings.ReplaceAll(text[:n], "_", ""))
	l.advance(n)
	return nil
}

// afterDot says whether the number is a subscript as in x.0.
func (l *lexer) afterDot() bool { return l.at > 0 && l.source[l.at-1] == '.' }

func isDecimal(c byte) bool { return c >= '0' && c <= '9' }

// based is the digit test of a 0x, 0o or 0b literal, nil for other letters.
func based(letter byte) func(byte) bool {
	switch letter | 0x20 {
	case 'x':
		return func(c byte) bool { return isDecimal(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
	case 'o':
		return func(c byte) bool { return c >= '0' && c <= '7' }
	case 'b':
		return func(c byte) bool { return c == '0' || c == '1' }
	}
	return nil
}

// digits is the length of the run of digits and underscores s begins with.
func digits(s string, digit func(byte) bool) int {
	n := 0
	for n < len(s) && (digit(s[n]) || s[n] == '_') {
		n++
	}
	return n
}

// fraction is the length of ".5", "e9" or ".5e9" at the start of s.
func fraction(s string) int {
	n := 0
	if len(s) > 1 && s[0] == '.' && isDecimal(s[1]) {
		n = 1 + digits(s[1:], isDecimal)
	}
	return n + exponent(s[n:])
}

// exponent is the length of "e9" or "e-9" at the start of s.
func exponent(s string) int {
	if len(s) < 2 || s[0]|0x20 != 'e' {
		return 0
	}
	sign := 1
	if s[1] == '+' || s[1] == '-' {
		sign = 2
	}
	if len(s) == sign || !isDecimal(s[sign]) {
		return 0
	}
	return sign + digits(s[sign:], isDecimal)
}

// literal lexes a quoted string.
func (l *lexer) literal(mark byte) error {
	s := l.rest()
	end := 1
	for end < len(s) && s[end] != mark {
		if s[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(s) {
		return l.fail("string without its closing %c", mark)
	}
	text, err := l.unescape(s[1:end])
	if err != nil {
		return err
	}
	l.emit(tokenText, text)
	l.advance(end + 1)
	return nil
}

// simpleEscapes are the one-letter escapes of Python strings.
var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v",
	'\\': "\\", '\'': "'", '"': `"`, '\n': "",
}

// unescape resolves Python's escapes; an unknown one stays as it is.
func (l *lexer) unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var out strings.Builder
	for len(s) > 0 {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 >= len(s) {
			break
		}
		out.WriteString(s[:i])
		text, n, ok := escapeAt(s[i+1:])
		if !ok {
			return "", l.fail("invalid escape in string: %s", s[i:min(len(s), i+10)])
		}
		out.WriteString(text)
		s = s[i+1+n:]
	}
	return out.String() + s, nil
}

// escapeAt resolves the escape behind a backslash and tells its length.
func escapeAt(s string) (text string, n int, ok bool) {
	if text, ok := simpleEscapes[s[0]]; ok {
		return text, 1, true
	}
	if width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]; width > 0 {
		return codePoint(s[1:], width)
	}
	if n := min(3, digits(s, func(c byte) bool { return c >= '0' && c <= '7' })); n > 0 && s[0] != '_' {
		c, err := strconv.ParseUint(s[:n], 8, 32)
		return string(rune(c)), n, err == nil
	}
	if s[0] == 'N' {
		return "", 0, false
	}
	_, size := utf8.DecodeRuneInString(s)
	return `\` + s[:size], size, true
}

func codePoint(s string, width int) (string, int, bool) {
	if len(s) < width {
		return "", 0, false
	}
	c, err := strconv.ParseUint(s[:width], 16, 32)
	return string(rune(c)), 1 + width, err == nil && c <= utf8.MaxRune
}
