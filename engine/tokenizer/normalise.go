package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// normaliser rewrites a text before it is cut into pieces; first says whether it is
// the head of a section.
type normaliser func(s string, first bool) string

// normalise runs all stages in order.
func normalise(stages []normaliser, s string, first bool) string {
	for _, n := range stages {
		s = n(s, first)
	}
	return s
}

func normaliseNFC(s string, _ bool) string { return nfc(s) }

// prepend puts a text before every section that is not empty.
func prepend(text string) normaliser {
	return func(s string, first bool) string {
		if s == "" || !first {
			return s
		}
		return text + s
	}
}

// replace writes one text for another.
func replace(old, with string) normaliser {
	return func(s string, _ bool) string { return strings.ReplaceAll(s, old, with) }
}

// metaspaceMark is how SentencePiece writes a space.
const metaspaceMark = "\u2581"

// metaspace is the pre-tokeniser of SentencePiece's convention: spaces become marks,
// and a mark comes before the text.
type metaspace struct {
	mark   string
	scheme string // always, first (only before a text's own beginning) or never
}

const (
	prependAlways = "always"
	prependFirst  = "first"
	prependNever  = "never"
)

// apply is a section in marks; atStart says whether the text begins with it.
func (m *metaspace) apply(s string, atStart bool) string {
	s = strings.ReplaceAll(s, " ", m.mark)
	wanted := m.scheme == prependAlways || m.scheme == prependFirst && atStart
	if wanted && !strings.HasPrefix(s, m.mark) {
		return m.mark + s
	}
	return s
}

// splitAtMark cuts before every mark.
func splitAtMark(mark string) splitter {
	return func(s string) int {
		_, n := utf8.DecodeRuneInString(s)
		return n + until(s[n:], mark)
	}
}

// splitAfter cuts behind every place where text stands.
func splitAfter(text string) splitter {
	return func(s string) int { return min(until(s, text)+len(text), len(s)) }
}

// until is where text stands in s first, or the end.
func until(s, text string) int {
	if i := strings.Index(s, text); i >= 0 {
		return i
	}
	return len(s)
}
