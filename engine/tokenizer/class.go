package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// class sorts characters the way the pre-tokenisers' expressions do.
type class uint8

const (
	other   class             = 1 << iota // punctuation, symbols, marks, controls, invalid bytes
	letter                                // \p{L}
	number                                // \p{N}
	blank                                 // \s but for newline
	newline                               // \r and \n
	space   = blank | newline             // \s
)

// The reference's expressions know Unicode 16 and its digit splitter Unicode 17; Go
// knows 15. These are the differences.
var (
	newLetters = &unicode.RangeTable{
		R16: []unicode.Range16{
			{Lo: 0x1c89, Hi: 0x1c8a, Stride: 1}, {Lo: 0xa7cb, Hi: 0xa7cd, Stride: 1}, {Lo: 0xa7da, Hi: 0xa7dc, Stride: 1},
		},
		R32: []unicode.Range32{
			{Lo: 0x105c0, Hi: 0x105f3, Stride: 1}, {Lo: 0x10d4a, Hi: 0x10d65, Stride: 1}, {Lo: 0x10d6f, Hi: 0x10d85, Stride: 1},
			{Lo: 0x10ec2, Hi: 0x10ec4, Stride: 1}, {Lo: 0x11380, Hi: 0x11389, Stride: 1}, {Lo: 0x1138b, Hi: 0x1138b, Stride: 1},
			{Lo: 0x1138e, Hi: 0x1138e, Stride: 1}, {Lo: 0x11390, Hi: 0x113b5, Stride: 1}, {Lo: 0x113b7, Hi: 0x113b7, Stride: 1},
			{Lo: 0x113d1, Hi: 0x113d1, Stride: 1}, {Lo: 0x113d3, Hi: 0x113d3, Stride: 1}, {Lo: 0x11bc0, Hi: 0x11be0, Stride: 1},
			{Lo: 0x13460, Hi: 0x143fa, Stride: 1}, {Lo: 0x16100, Hi: 0x1611d, Stride: 1}, {Lo: 0x16d40, Hi: 0x16d6c, Stride: 1},
			{Lo: 0x18cff, Hi: 0x18cff, Stride: 1}, {Lo: 0x1e5d0, Hi: 0x1e5ed, Stride: 1}, {Lo: 0x1e5f0, Hi: 0x1e5f0, Stride: 1},
			{Lo: 0x2ebf0, Hi: 0x2ee5d, Stride: 1},
		},
	}
	newNumbers = &unicode.RangeTable{
		R32: []unicode.Range32{
			{Lo: 0x10d40, Hi: 0x10d49, Stride: 1}, {Lo: 0x116d0, Hi: 0x116e3, Stride: 1}, {Lo: 0x11bf0, Hi: 0x11bf9, Stride: 1},
			{Lo: 0x16130, Hi: 0x16139, Stride: 1}, {Lo: 0x16d70, Hi: 0x16d79, Stride: 1}, {Lo: 0x1ccf0, Hi: 0x1ccf9, Stride: 1},
			{Lo: 0x1e5f1, Hi: 0x1e5fa, Stride: 1},
		},
	}
	newestNumbers = &unicode.RangeTable{
		R32: []unicode.Range32{{Lo: 0x11de0, Hi: 0x11de9, Stride: 1}, {Lo: 0x16ff4, Hi: 0x16ff6, Stride: 1}},
	}
)

// classes of the characters below classified; none above is a letter, a number or
// white space.
const classified = 0x32400

var classes [classified]class

func init() {
	for i := range classes {
		classes[i] = other
	}
	fill(classes[:], letter, unicode.L, newLetters)
	fill(classes[:], number, unicode.N, newNumbers)
	fill(classes[:], blank, unicode.White_Space)
	classes['\r'], classes['\n'] = newline, newline
	fillCases()
}

// fill sets what is said of the characters of some tables, as far as dst reaches.
func fill[T any](dst []T, v T, tables ...*unicode.RangeTable) {
	for _, t := range tables {
		for _, r := range t.R16 {
			fillRange(dst, v, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			fillRange(dst, v, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
}

func fillRange[T any](dst []T, v T, low, high, stride rune) {
	for r := low; r <= high && int(r) < len(dst); r += stride {
		dst[r] = v
	}
}

// classOf is the class of the character at s[i] and its length in bytes; past the
// end, no class and 0. An invalid byte is a character of its own.
func classOf(s string, i int) (class, int) {
	if i >= len(s) {
		return 0, 0
	}
	if b := s[i]; b < utf8.RuneSelf {
		return classes[b], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	if r >= classified {
		return other, n
	}
	return classes[r], n
}

// run is where the characters of class c that begin at s[i] end.
func run(s string, i int, c class) int {
	for {
		got, n := classOf(s, i)
		if got&c == 0 {
			return i
		}
		i += n
	}
}

// isDigit is what the Digits pre-tokeniser splits at.
func isDigit(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '0' && r <= '9'
	}
	return r < classified && classes[r] == number || unicode.Is(newestNumbers, r)
}
