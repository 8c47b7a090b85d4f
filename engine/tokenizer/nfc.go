package tokenizer

import (
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// lateMarks are the combining marks that Unicode gained after version 9, the one the
// reference normalises by: to it they are ordinary characters.
var lateMarks = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x07fd, Hi: 0x07fd, Stride: 1}, {Lo: 0x0898, Hi: 0x089f, Stride: 1}, {Lo: 0x08ca, Hi: 0x08d3, Stride: 1},
		{Lo: 0x09fe, Hi: 0x09fe, Stride: 1}, {Lo: 0x0c3c, Hi: 0x0c3c, Stride: 1}, {Lo: 0x0d3b, Hi: 0x0d3c, Stride: 1},
		{Lo: 0x0eba, Hi: 0x0eba, Stride: 1}, {Lo: 0x1715, Hi: 0x1715, Stride: 1}, {Lo: 0x1abf, Hi: 0x1ace, Stride: 1},
		{Lo: 0x1df6, Hi: 0x1dfa, Stride: 1}, {Lo: 0xa82c, Hi: 0xa82c, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x10d24, Hi: 0x10d27, Stride: 1}, {Lo: 0x10eab, Hi: 0x10eac, Stride: 1}, {Lo: 0x10efd, Hi: 0x10eff, Stride: 1},
		{Lo: 0x10f46, Hi: 0x10f50, Stride: 1}, {Lo: 0x10f82, Hi: 0x10f85, Stride: 1}, {Lo: 0x11070, Hi: 0x11070, Stride: 1},
		{Lo: 0x1133b, Hi: 0x1133b, Stride: 1}, {Lo: 0x1145e, Hi: 0x1145e, Stride: 1}, {Lo: 0x11839, Hi: 0x1183a, Stride: 1},
		{Lo: 0x1193d, Hi: 0x1193e, Stride: 1}, {Lo: 0x11943, Hi: 0x11943, Stride: 1}, {Lo: 0x119e0, Hi: 0x119e0, Stride: 1},
		{Lo: 0x11a34, Hi: 0x11a34, Stride: 1}, {Lo: 0x11a47, Hi: 0x11a47, Stride: 1}, {Lo: 0x11a99, Hi: 0x11a99, Stride: 1},
		{Lo: 0x11d42, Hi: 0x11d42, Stride: 1}, {Lo: 0x11d44, Hi: 0x11d45, Stride: 1}, {Lo: 0x11d97, Hi: 0x11d97, Stride: 1},
		{Lo: 0x11f41, Hi: 0x11f42, Stride: 1}, {Lo: 0x16ff0, Hi: 0x16ff1, Stride: 1}, {Lo: 0x1e08f, Hi: 0x1e08f, Stride: 1},
		{Lo: 0x1e130, Hi: 0x1e136, Stride: 1}, {Lo: 0x1e2ae, Hi: 0x1e2ae, Stride: 1}, {Lo: 0x1e2ec, Hi: 0x1e2ef, Stride: 1},
		{Lo: 0x1e4ec, Hi: 0x1e4ef, Stride: 1},
	},
}

// lateComposite is the one character since then that a pair composes to.
const lateComposite = 0x11938

// nfc is Normalization Form C of s, by the Unicode version of the reference. What x/text
// finds normal stays as it is; the rest is not left to x/text, which knows newer marks
// and breaks long runs of marks up. Invalid bytes stay.
func nfc(s string) string {
	from, to := rough(s, 0)
	if from == to || norm.NFC.IsNormalString(s[from:]) {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	var chars []combining
	at := 0
	for ; from < to; from, to = rough(s, at) {
		out = append(out, s[at:from]...)
		chars = slices.Grow(chars[:0], utf8.RuneCountInString(s[from:to]))
		for _, c := range compose(decompose(chars, s[from:to])) {
			out = c.append(out)
		}
		at = to
	}
	return string(append(out, s[at:]...))
}

// rough is the first part of s from a place on that may not be normal, by itself: one
// settled character and those behind it that are not. It is empty where all are settled.
func rough(s string, at int) (from, to int) {
	settled := true
	for from = at; at < len(s); {
		r, n := rune(s[at]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[at:])
		}
		switch {
		case r >= firstUnsettled && unsettled().has(r):
			settled = false
		case settled:
			from = at
		default:
			return from, at
		}
		at += n
	}
	if settled {
		from = at
	}
	return from, at
}

// firstUnsettled begins the combining marks.
const firstUnsettled = 0x300

// runeSet is a bit for each of the characters below classified.
type runeSet [classified / 64]uint64

func (x *runeSet) has(r rune) bool { return r < classified && x[r/64]>>(r%64)&1 != 0 }

// unsettled are the characters that NFC changes, or that what is before them changes.
var unsettled = sync.OnceValue(func() *runeSet {
	x := new(runeSet)
	var b [utf8.UTFMax]byte
	for r := rune(firstUnsettled); r < classified; r++ {
		char := b[:utf8.EncodeRune(b[:], r)]
		p := norm.NFC.Properties(char)
		if !p.BoundaryBefore() || p.Decomposition() != nil && !norm.NFC.IsNormal(char) {
			x[r/64] |= 1 << (r % 64)
		}
	}
	return x
})

// combining is a character with its canonical combining class, 0 for a starter. A
// byte that is no character has r = utf8.RuneError and its value in invalid.
type combining struct {
	r       rune
	class   uint8
	invalid byte
}

func (c combining) append(dst []byte) []byte {
	if c.invalid != 0 {
		return append(dst, c.invalid)
	}
	return utf8.AppendRune(dst, c.r)
}

// decompose appends the full canonical decomposition of s, marks in canonical order.
func decompose(dst []combining, s string) []combining {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		p := norm.NFC.PropertiesString(s)
		full := p.Decomposition()
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, combining{r: r, invalid: s[0]})
		case full == nil || r == lateComposite:
			dst = append(dst, combining{r: r, class: classOfMark(r, p)})
		}
		for r != lateComposite && len(full) > 0 {
			part, m := utf8.DecodeRune(full)
			dst = append(dst, combining{r: part, class: classOfMark(part, norm.NFC.Properties(full))})
			full = full[m:]
		}
		s = s[n:]
	}
	order(dst)
	return dst
}

func classOfMark(r rune, p norm.Properties) uint8 {
	if class := p.CCC(); class != 0 && !unicode.Is(lateMarks, r) {
		return class
	}
	return 0
}

// order sorts each run of marks by class, equal classes staying in order.
func order(chars []combining) {
	for i := 0; i < len(chars); i++ {
		from := i
		for i < len(chars) && chars[i].class != 0 {
			i++
		}
		orderMarks(chars[from:i])
	}
}

// orderMarks counts the classes, which takes time linear in the marks.
func orderMarks(marks []combining) {
	byClass := func(a, b combining) int { return int(a.class) - int(b.class) }
	if slices.IsSortedFunc(marks, byClass) {
		return
	}
	if len(marks) <= 8 {
		slices.SortStableFunc(marks, byClass)
		return
	}
	var ends [256]int
	for _, m := range marks {
		ends[m.class]++
	}
	for class := 1; class < len(ends); class++ {
		ends[class] += ends[class-1]
	}
	for _, m := range slices.Backward(slices.Clone(marks)) {
		ends[m.class]--
		marks[ends[m.class]] = m
	}
}

// compose joins, in place, each starter with the marks and starters that combine with
// it and are not blocked (UAX 15, D115).
func compose(chars []combining) []combining {
	out := chars[:0]
	starter := -1
	for _, c := range chars {
		if starter >= 0 && c.invalid == 0 {
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class != 0 && last.class < c.class {
				if made, ok := pair(out[starter].r, c.r); ok {
					out[starter].r = made
					continue
				}
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	return out
}

// pair is the character that a and b compose to.
func pair(a, b rune) (rune, bool) {
	if made, ok := hangul(a, b); ok {
		return made, true
	}
	made := composites().find(a, b)
	return rune(uint32(made)), made != noPair
}

// hangul composes syllables by arithmetic (The Unicode Standard, 3.12).
func hangul(a, b rune) (rune, bool) {
	const (
		syllables, leads, vowels, trails = 0xAC00, 0x1100, 0x1161, 0x11A7
		leadCount, vowelCount            = 19, 21
		trailCount                       = 28
	)
	switch {
	case a >= leads && a < leads+leadCount && b >= vowels && b < vowels+vowelCount:
		return syllables + ((a-leads)*vowelCount+(b-vowels))*trailCount, true
	case a >= syllables && a < syllables+leadCount*vowelCount*trailCount && (a-syllables)%trailCount == 0 &&
		b > trails && b < trails+trailCount:
		return a + b - trails, true
	}
	return 0, false
}

// composites maps pairs to what they compose to: every character that NFC keeps and
// that decomposes, by the composite of all but the last of its parts.
var composites = sync.OnceValue(func() *pairTable {
	made := newPairTable(1 << 10)
	for r := rune(0xC0); r < 0x12000; r++ {
		if r == lateComposite || r >= 0xAC00 && r < 0xE000 {
			continue
		}
		p := norm.NFC.PropertiesString(string(r))
		full := p.Decomposition()
		if full == nil || !norm.NFC.IsNormalString(string(r)) {
			continue
		}
		last, n := utf8.DecodeLastRune(full)
		first, m := utf8.DecodeRune(norm.NFC.Bytes(full[:len(full)-n]))
		if m > 0 {
			made.put(first, last, 0, r)
		}
	}
	return &made
})
