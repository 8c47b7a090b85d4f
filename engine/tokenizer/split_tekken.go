package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// tekkenPattern is the expression of Mistral's Tekken: words end where an upper-case
// letter follows a lower-case one.
const tekkenPattern = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// What Unicode 16 added to these classes.
var (
	newLower = &unicode.RangeTable{
		R16: []unicode.Range16{{Lo: 0x1c8a, Hi: 0x1c8a, Stride: 1}, {Lo: 0xa7cd, Hi: 0xa7cd, Stride: 1}, {Lo: 0xa7db, Hi: 0xa7db, Stride: 1}},
		R32: []unicode.Range32{{Lo: 0x10d70, Hi: 0x10d85, Stride: 1}},
	}
	newUpper = &unicode.RangeTable{
		R16: []unicode.Range16{
			{Lo: 0x1c89, Hi: 0x1c89, Stride: 1}, {Lo: 0xa7cb, Hi: 0xa7cc, Stride: 1}, {Lo: 0xa7da, Hi: 0xa7dc, Stride: 2},
		},
		R32: []unicode.Range32{{Lo: 0x10d50, Hi: 0x10d65, Stride: 1}},
	}
	newMarks = &unicode.RangeTable{
		R16: []unicode.Range16{{Lo: 0x0897, Hi: 0x0897, Stride: 1}},
		R32: []unicode.Range32{
			{Lo: 0x10d69, Hi: 0x10d6d, Stride: 1}, {Lo: 0x10efc, Hi: 0x10efc, Stride: 1}, {Lo: 0x113b8, Hi: 0x113c0, Stride: 1},
			{Lo: 0x113c2, Hi: 0x113c5, Stride: 3}, {Lo: 0x113c7, Hi: 0x113ca, Stride: 1}, {Lo: 0x113cc, Hi: 0x113d0, Stride: 1},
			{Lo: 0x113d2, Hi: 0x113d2, Stride: 1}, {Lo: 0x113e1, Hi: 0x113e2, Stride: 1}, {Lo: 0x11f5a, Hi: 0x11f5a, Stride: 1},
			{Lo: 0x1611e, Hi: 0x1612f, Stride: 1}, {Lo: 0x1e5ee, Hi: 0x1e5ef, Stride: 1},
		},
	}
)

// letterCase sorts characters by the two classes of tekkenPattern.
type letterCase uint8

const (
	upper letterCase      = 1 << iota // may stand in a word's first part
	lower                             // may stand in its second part
	both  = upper | lower             // letters without case, and marks
)

// cases of the characters below classified. Above there are marks only.
var cases [classified]letterCase

// fillCases follows the classes.
func fillCases() {
	for r, c := range classes {
		if c == letter {
			cases[r] = both
		}
	}
	fill(cases[:], both, unicode.M, newMarks)
	fill(cases[:], upper, unicode.Lu, unicode.Lt, newUpper)
	fill(cases[:], lower, unicode.Ll, newLower)
}

func caseAt(s string, i int) (letterCase, int) {
	if i >= len(s) {
		return 0, 0
	}
	if b := s[i]; b < utf8.RuneSelf {
		return cases[b], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	if r < classified {
		return cases[r], n
	}
	if unicode.Is(unicode.M, r) {
		return both, n
	}
	return 0, n
}

// splitTekken is the first match of tekkenPattern, which matches every text.
func splitTekken(s string) int {
	c, n := classOf(s, 0)
	lead := 0 // the character that may stand before a word
	if c&(letter|number|newline) == 0 {
		lead = n
	}
	for _, word := range []func(string, int) int{tekkenWord, tekkenCapitals} {
		if end := word(s, lead); lead > 0 && end > 0 {
			return end
		}
		if end := word(s, 0); end > 0 {
			return end
		}
	}
	if c == number {
		return n
	}
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	if end := run(s, from, other); end > from {
		for end < len(s) && (s[end] == '\r' || s[end] == '\n' || s[end] == '/') {
			end++
		}
		return end
	}
	return splitLines(s)
}

// tekkenWord is the end of a word at from of upper-case letters, if any, and
// lower-case ones; 0 for none. Where none of the latter follow, the first part gives
// back its characters down to the last that may stand in the second part too.
func tekkenWord(s string, from int) int {
	i, shared := from, 0
	for {
		c, n := caseAt(s, i)
		if c&upper == 0 {
			break
		}
		if i += n; c == both {
			shared = i
		}
	}
	if end := caseRun(s, i, lower); end > i {
		return end
	}
	return shared
}

// tekkenCapitals is the end of a word at from of upper-case letters, of which no
// lower-case ones follow: tekkenWord would have matched them.
func tekkenCapitals(s string, from int) int {
	if end := caseRun(s, from, upper); end > from {
		return end
	}
	return 0
}

// caseRun is where the characters of case c that begin at s[i] end.
func caseRun(s string, i int, c letterCase) int {
	for {
		got, n := caseAt(s, i)
		if got&c == 0 {
			return i
		}
		i += n
	}
}
