package jinja

import (
	"sort"
	"unicode/utf8"
)

// String is a template string: its text and which bytes of it are untrusted.
type String struct {
	text  string
	taint []span // untrusted byte ranges: sorted, disjoint, not touching
	safe  bool   // went through the safe or escape filter: + escapes what joins it
}

// span is the half-open byte range [start, end).
type span struct{ start, end int }

// Segment is a run of rendered text of one origin.
type Segment struct {
	Text    string
	Trusted bool // template text or a special token, as opposed to the caller's data
}

func (String) typeName() string { return "str" }

// Text is a string of trusted text.
func Text(s string) String { return String{text: s} }

// Untrusted is a string of the caller's text.
func Untrusted(s string) String {
	if s == "" {
		return String{}
	}
	return String{text: s, taint: []span{{0, len(s)}}}
}

// String is the text alone.
func (s String) String() string { return s.text }

// Segments cuts s where its origin changes. Their texts joined are s.
func (s String) Segments() []Segment {
	segments := make([]Segment, 0, 2*len(s.taint)+1)
	at := 0
	for _, t := range s.taint {
		if t.start > at {
			segments = append(segments, Segment{Text: s.text[at:t.start], Trusted: true})
		}
		segments = append(segments, Segment{Text: s.text[t.start:t.end]})
		at = t.end
	}
	if at < len(s.text) {
		segments = append(segments, Segment{Text: s.text[at:], Trusted: true})
	}
	return segments
}

// slice is s[i:j] in bytes, marks kept.
func (s String) slice(i, j int) String {
	if i == 0 && j == len(s.text) {
		return s
	}
	out := String{text: s.text[i:j], safe: s.safe}
	first := sort.Search(len(s.taint), func(k int) bool { return s.taint[k].end > i })
	for _, t := range s.taint[first:] {
		start, end := max(t.start, i), min(t.end, j)
		if start >= end {
			break
		}
		out.taint = append(out.taint, span{start - i, end - i})
	}
	return out
}

// from is s[i:] in bytes.
func (s String) from(i int) String { return s.slice(i, len(s.text)) }

// tainted says whether all of s is untrusted.
func (s String) tainted() bool {
	return len(s.taint) == 1 && s.taint[0] == span{0, len(s.text)}
}

// rewrite is s with another text, wholly untrusted if any of s was.
func (s String) rewrite(text string) String {
	out := Text(text)
	if len(s.taint) > 0 {
		out = Untrusted(text)
	}
	out.safe = s.safe
	return out
}

// concat joins two strings, marks kept.
func concat(a, b String) String {
	if a.text == "" {
		return b
	}
	if b.text == "" {
		return a
	}
	taint := make([]span, len(a.taint), len(a.taint)+len(b.taint))
	copy(taint, a.taint)
	for _, t := range b.taint {
		taint = mark(taint, t.start+len(a.text), t.end+len(a.text))
	}
	return String{text: a.text + b.text, taint: taint}
}

// mark adds a range behind all others, joining it to a touching one.
func mark(taint []span, start, end int) []span {
	if n := len(taint); n > 0 && taint[n-1].end == start {
		taint[n-1].end = end
		return taint
	}
	return append(taint, span{start, end})
}

// runes is the length in code points.
func (s String) runes() int { return utf8.RuneCountInString(s.text) }

// offset is the byte at which the i-th code point begins.
func (s String) offset(i int) int {
	if i >= len(s.text) {
		return len(s.text)
	}
	at := 0
	for ; i > 0 && at < len(s.text); i-- {
		_, n := utf8.DecodeRuneInString(s.text[at:])
		at += n
	}
	return at
}

// chars are the code points of s, each a string.
func (s String) chars() []Value {
	items := make([]Value, 0, len(s.text))
	for at := 0; at < len(s.text); {
		_, n := utf8.DecodeRuneInString(s.text[at:])
		items = append(items, s.slice(at, at+n))
		at += n
	}
	return items
}
