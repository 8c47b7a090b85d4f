package tokenizer

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcher finds added tokens in a text: a trie over their bytes, of which the
// longest token at the leftmost place wins.
type matcher struct {
	first  [256]int32   // root's children, by byte
	nodes  []trieNode   // node 0 is unused, so that 0 means none
	room   int          // nodes to make at once
	tokens []addedToken // all added tokens, also those of the other matcher
}

type trieNode struct {
	b              byte
	child, sibling int32
	token          int32 // index into tokens, plus one
}

// reserve makes room for tokens of so many bytes together.
func (m *matcher) reserve(bytes int) { m.room = bytes + 1 }

// add matches text for the token of number n.
func (m *matcher) add(text string, n int) {
	if m.nodes == nil {
		m.nodes = make([]trieNode, 1, max(m.room, 1))
	}
	at := m.first[text[0]]
	if at == 0 {
		at = m.grow(trieNode{b: text[0]})
		m.first[text[0]] = at
	}
	for i := 1; i < len(text); i++ {
		at = m.step(at, text[i])
	}
	m.nodes[at].token = int32(n) + 1
}

func (m *matcher) grow(n trieNode) int32 {
	m.nodes = append(m.nodes, n)
	return int32(len(m.nodes) - 1)
}

// step is the child of node at for byte b, made where missing.
func (m *matcher) step(at int32, b byte) int32 {
	if c := m.child(at, b); c != 0 {
		return c
	}
	c := m.grow(trieNode{b: b, sibling: m.nodes[at].child})
	m.nodes[at].child = c
	return c
}

func (m *matcher) child(at int32, b byte) int32 {
	c := m.nodes[at].child
	for c != 0 && m.nodes[c].b != b {
		c = m.nodes[c].sibling
	}
	return c
}

// longest is the longest token that text[from:] begins with.
func (m *matcher) longest(text string, from int) (a *addedToken, end int) {
	at := m.first[text[from]]
	for i := from + 1; at != 0; i++ {
		if n := m.nodes[at].token; n != 0 {
			a, end = &m.tokens[n-1], i
		}
		if i == len(text) {
			break
		}
		at = m.child(at, text[i])
	}
	return a, end
}

// found is an added token at a place of a text.
type found struct {
	from, to int
	token    *addedToken
}

// scan yields the added tokens of text[low:high], from left to right. A token that is
// found but not wanted (a control token in a user's text, a single word inside
// another) hides what it overlaps, as in the reference. White space that a token
// takes may lie outside the bounds, but not before floor.
func (m *matcher) scan(text string, low, high, floor int, controls bool) iter.Seq[found] {
	return func(yield func(found) bool) {
		for i := low; i < high && m.nodes != nil; {
			if m.first[text[i]] == 0 {
				i++
				continue
			}
			a, end := m.longest(text[:high], i)
			if a == nil {
				i++
				continue
			}
			from, to := i, end
			i = end
			if a.Special && !controls || a.SingleWord && insideWord(text, from, to) {
				continue
			}
			from, to = a.strip(text, floor, from, to)
			if floor = to; !yield(found{from, to, a}) {
				return
			}
		}
	}
}

// strip widens text[from:to] by the white space that the token takes, leaving what
// lies before floor.
func (a *addedToken) strip(text string, floor, from, to int) (int, int) {
	taken := max(to, floor) // a token before this one may have taken white space up to here
	if a.LStrip {
		floor = min(floor, from)
		from = floor + len(strings.TrimRightFunc(text[floor:from], unicode.IsSpace))
	}
	if a.RStrip {
		to = len(text) - len(strings.TrimLeftFunc(text[taken:], unicode.IsSpace))
	}
	return from, to
}

// insideWord says whether a word character touches text[from:to].
func insideWord(text string, from, to int) bool {
	before, n := utf8.DecodeLastRuneInString(text[:from])
	after, m := utf8.DecodeRuneInString(text[to:])
	return n > 0 && isWord(before) || m > 0 && isWord(after)
}

// isWord is \w of Unicode's regular expressions (UTS 18, annex C).
func isWord(r rune) bool {
	const joiners = "\u200c\u200d"
	return unicode.IsLetter(r) || strings.ContainsRune(joiners, r) ||
		unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic)
}
