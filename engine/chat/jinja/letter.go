package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// capitalize is str.capitalize.
func capitalize(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(c)) + strings.ToLower(s[n:])
}

// titleCase is str.title: every run of letters begins with a capital.
func titleCase(s string) string {
	inside := false
	return strings.Map(func(c rune) rune {
		was := inside
		inside = unicode.IsLetter(c)
		if was {
			return unicode.ToLower(c)
		}
		return unicode.ToTitle(c)
	}, s)
}

// titleWords is Jinja's title filter: words end at white space and at - ( { [ <.
func titleWords(s string) string {
	inside := false
	return strings.Map(func(c rune) rune {
		was := inside
		inside = !isSpace(c) && !strings.ContainsRune("-({[<", c)
		switch {
		case !inside:
			return c
		case was:
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

// isUpper is str.isupper: there are cased letters, and all are upper case.
func isUpper(s string) bool {
	return strings.ToUpper(s) == s && strings.ToLower(s) != s
}

// isLower is str.islower.
func isLower(s string) bool {
	return strings.ToLower(s) == s && strings.ToUpper(s) != s
}
