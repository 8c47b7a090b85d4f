package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// isSpace is Python's str.isspace of one code point.
func isSpace(c rune) bool {
	return c >= 0x1c && c <= 0x1f || unicode.IsSpace(c)
}

// breaksLine says whether str.splitlines ends a line at c.
func breaksLine(c rune) bool {
	switch c {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// trimmer says which code points strip(chars) takes: white space by default.
func trimmer(chars Value) (func(rune) bool, error) {
	switch c := chars.(type) {
	case nil, None:
		return isSpace, nil
	case String:
		return oneOf(c.text), nil
	}
	return nil, typeError("strip arg must be None or str")
}

// oneOf tells whether a code point is among those of a text, however many they are.
func oneOf(text string) func(rune) bool {
	var ascii [utf8.RuneSelf]bool
	var others map[rune]bool
	for _, c := range text {
		if c < utf8.RuneSelf {
			ascii[c] = true
			continue
		}
		if others == nil {
			others = map[rune]bool{}
		}
		others[c] = true
	}
	return func(c rune) bool { return c < utf8.RuneSelf && ascii[c] || c >= utf8.RuneSelf && others[c] }
}

// trim is s without the code points that take wants, at either end.
func (s String) trim(take func(rune) bool, left, right bool) String {
	i, j := 0, len(s.text)
	if left {
		i = j - len(strings.TrimLeftFunc(s.text, take))
	}
	if right {
		j = i + len(strings.TrimRightFunc(s.text[i:], take))
	}
	return s.slice(i, j)
}
