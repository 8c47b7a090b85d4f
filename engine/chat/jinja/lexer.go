package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexer cuts a template into tokens, applying trim_blocks, lstrip_blocks and
// the - and + signs inside tags on the way.
type lexer struct {
	source    string
	at        int
	line      int
	lineStart bool     // the token before ended in a newline
	open      []string // closing brackets still owed inside the current tag
	tokens    []token
}

// lex returns the tokens of a template, closed by tokenEOF.
func lex(source string) ([]token, error) {
	if len(source) > maxSourceBytes {
		return nil, &LimitError{What: "bytes of template source", Limit: maxSourceBytes}
	}
	if !utf8.ValidString(source) {
		return nil, &SyntaxError{Line: 1, Message: "template source is not valid UTF-8"}
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{source: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.at < len(l.source) {
		if err := l.next(); err != nil {
			return nil, err
		}
		if err := l.count(); err != nil {
			return nil, err
		}
	}
	l.emit(tokenEOF, "")
	return l.tokens, nil
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind, text, l.line})
}

// count bounds the tokens, and with them the nodes that are made of them.
func (l *lexer) count() error {
	if len(l.tokens) > maxTokens {
		return &LimitError{What: "tokens of template source", Limit: maxTokens}
	}
	return nil
}

func (l *lexer) fail(format string, args ...any) error {
	return &SyntaxError{Line: l.line, Message: fmt.Sprintf(format, args...)}
}

// advance moves n bytes on, counting lines.
func (l *lexer) advance(n int) {
	passed := l.source[l.at : l.at+n]
	l.line += strings.Count(passed, "\n")
	l.at += n
	if n > 0 {
		l.lineStart = passed[n-1] == '\n'
	}
}

func (l *lexer) rest() string { return l.source[l.at:] }

// next lexes text up to the next tag, and that tag.
func (l *lexer) next() error {
	start := l.findTag()
	if start < 0 {
		l.emit(tokenData, l.rest())
		l.advance(len(l.rest()))
		return nil
	}
	text, kind := l.source[l.at:start], l.source[start+1]
	sign := l.signAt(start + 2)
	l.data(l.strip(text, kind, sign))
	l.advance(len(text) + 2)
	if sign != 0 {
		l.advance(1)
	}
	switch kind {
	case '#':
		return l.comment()
	case '{':
		return l.tag(tokenVarBegin)
	}
	if end, ok := l.rawTag(); ok {
		return l.raw(end)
	}
	return l.tag(tokenTagBegin)
}

// findTag is where the next {{, {% or {# stands, or -1.
func (l *lexer) findTag() int {
	for at := l.at; ; at++ {
		i := strings.IndexByte(l.source[at:], '{')
		if i < 0 || at+i+1 >= len(l.source) {
			return -1
		}
		at += i
		if c := l.source[at+1]; c == '{' || c == '%' || c == '#' {
			return at
		}
	}
}

// signAt is the whitespace sign at a place, or 0.
func (l *lexer) signAt(at int) byte {
	if at < len(l.source) && (l.source[at] == '-' || l.source[at] == '+') {
		return l.source[at]
	}
	return 0
}

func (l *lexer) data(text string) {
	if text != "" {
		l.emit(tokenData, text)
	}
}

// strip takes the white space off the end of the text before a tag: all of it
// for a - sign, the tag's indentation for a block or comment without a sign.
func (l *lexer) strip(text string, kind, sign byte) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || kind == '{' {
		return text
	}
	line := strings.LastIndexByte(text, '\n') + 1
	if (line > 0 || l.lineStart) && strings.TrimFunc(text[line:], isSpace) == "" {
		return text[:line]
	}
	return text
}

// comment skips to behind #}.
func (l *lexer) comment() error {
	end := strings.Index(l.rest(), "#}")
	if end < 0 {
		return l.fail("Missing end of comment tag")
	}
	l.closeTag(end, 2)
	return nil
}

// closeTag passes the n bytes before a tag's end, the end itself, and the
// white space that its sign or trim_blocks takes.
func (l *lexer) closeTag(n, width int) {
	sign := byte(0)
	if n > 0 {
		sign = l.signAt(l.at + n - 1)
	}
	l.advance(n + width)
	switch {
	case sign == '-':
		l.skipSpace()
	case sign == 0 && strings.HasPrefix(l.rest(), "\n"):
		l.advance(1)
	}
}

func (l *lexer) skipSpace() {
	l.advance(len(l.rest()) - len(strings.TrimLeftFunc(l.rest(), isSpace)))
}

// rawTag is the length of "raw %}" if that comes next.
func (l *lexer) rawTag() (int, bool) {
	rest := strings.TrimLeftFunc(l.rest(), isSpace)
	if !strings.HasPrefix(rest, "raw") {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest[len("raw"):], isSpace)
	rest = strings.TrimPrefix(rest, "-")
	if !strings.HasPrefix(rest, "%}") {
		return 0, false
	}
	return len(l.rest()) - len(rest) + 2, true
}

// raw lexes {% raw %} text {% endraw %}; n bytes of its opening tag are left.
func (l *lexer) raw(n int) error {
	trim := l.source[l.at+n-3] == '-'
	l.advance(n)
	if trim {
		l.skipSpace()
	}
	for at := l.at; ; at += 2 {
		i := strings.Index(l.source[at:], "{%")
		if i < 0 {
			return l.fail("Missing end of raw directive")
		}
		at += i
		sign := l.signAt(at + 2)
		if n, ok := endRaw(l.source[at+2:], sign); ok {
			text := l.source[l.at:at]
			l.data(l.strip(text, '%', sign))
			l.advance(len(text))
			l.closeTag(n, 2)
			return nil
		}
	}
}

// endRaw is the length of "endraw %}", sign included, if s begins with it.
func endRaw(s string, sign byte) (int, bool) {
	rest := s
	if sign != 0 {
		rest = rest[1:]
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	if !strings.HasPrefix(rest, "endraw") {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest[len("endraw"):], isSpace)
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	if !strings.HasPrefix(rest, "%}") {
		return 0, false
	}
	return len(s) - len(rest) + 2, true
}

// tag lexes the inside of {{ }} or {% %}.
func (l *lexer) tag(begin tokenKind) error {
	l.emit(begin, "")
	l.open = l.open[:0]
	for l.at < len(l.source) {
		if l.space() {
			continue
		}
		if len(l.open) == 0 {
			if n := l.tagEnd(begin); n > 0 {
				l.emit(begin+1, "")
				l.endTag(begin, n)
				return nil
			}
		}
		if err := l.word(); err != nil {
			return err
		}
		if err := l.count(); err != nil {
			return err
		}
	}
	return nil
}

func (l *lexer) space() bool {
	c, n := utf8.DecodeRuneInString(l.rest())
	if !isSpace(c) {
		return false
	}
	l.advance(n)
	return true
}

// tagEnd is the length of the tag's end with its sign, or 0.
func (l *lexer) tagEnd(begin tokenKind) int {
	end := "%}"
	if begin == tokenVarBegin {
		end = "}}"
	}
	rest := l.rest()
	switch {
	case strings.HasPrefix(rest, end):
		return 2
	case strings.HasPrefix(rest, "-"+end), begin == tokenTagBegin && strings.HasPrefix(rest, "+"+end):
		return 3
	}
	return 0
}

// endTag passes a tag's end of n bytes; only a block takes the newline after.
func (l *lexer) endTag(begin tokenKind, n int) {
	if begin == tokenTagBegin || n == 3 {
		l.closeTag(n-2, 2)
		return
	}
	l.advance(n)
}

// word lexes one name, literal or operator.
func (l *lexer) word() error {
	c, _ := utf8.DecodeRuneInString(l.rest())
	switch {
	case c >= '0' && c <= '9':
		return l.number()
	case isNamePart(c):
		return l.name()
	case c == '\'' || c == '"':
		return l.literal(byte(c))
	}
	return l.operator()
}

func isNamePart(c rune) bool {
	return c == '_' || unicode.IsLetter(c) || unicode.IsNumber(c) || unicode.IsMark(c)
}

func (l *lexer) name() error {
	name := l.rest()
	if i := strings.IndexFunc(name, func(c rune) bool { return !isNamePart(c) }); i >= 0 {
		name = name[:i]
	}
	if c, _ := utf8.DecodeRuneInString(name); c != '_' && !unicode.IsLetter(c) {
		return l.fail("Invalid character in identifier")
	}
	l.emit(tokenName, name)
	l.advance(len(name))
	return nil
}

func (l *lexer) operator() error {
	for _, op := range operators {
		if strings.HasPrefix(l.rest(), op) {
			l.emit(tokenOp, op)
			l.advance(len(op))
			return l.balance(op)
		}
	}
	c, _ := utf8.DecodeRuneInString(l.rest())
	return l.fail("unexpected char %s", quote(string(c)))
}

// balance keeps the brackets that are open, inside which no tag ends.
func (l *lexer) balance(op string) error {
	switch op {
	case "(":
		l.open = append(l.open, ")")
	case "[":
		l.open = append(l.open, "]")
	case "{":
		l.open = append(l.open, "}")
	case ")", "]", "}":
		if len(l.open) == 0 {
			return l.fail("unexpected '%s'", op)
		}
		want := l.open[len(l.open)-1]
		if l.open = l.open[:len(l.open)-1]; want != op {
			return l.fail("unexpected '%s', expected '%s'", op, want)
		}
	}
	return nil
}
