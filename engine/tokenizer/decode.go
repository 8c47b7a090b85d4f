package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// DecodeOptions choose what Decode shows.
type DecodeOptions struct {
	SkipSpecial bool // leave control tokens out
}

// Decode is the text of ids. Ids without a token decode to nothing. Bytes that are
// not UTF-8 become U+FFFD, one for each maximal part of a character, as in Python's
// bytes.decode(errors="replace").
func (t *Tokenizer) Decode(ids []int32, o DecodeOptions) string {
	s := t.NewStream(o.SkipSpecial)
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(s.Push(id))
	}
	text.WriteString(s.Flush())
	return text.String()
}

// Stream decodes ids as they come. What it returns, joined, is what Decode returns
// for all of them; a character is held back until it is whole. Not for concurrent
// use.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	held        []byte // the head of a character, at most 3 bytes between calls
	begun       bool   // text has come: what decoders take from the head is not taken any more
	strip       int    // spaces still to be taken from the head
}

// NewStream starts a stream; with skipSpecial it leaves control tokens out.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial, strip: t.decoder.strip}
}

// Continue says that the text goes on behind ids, which are not decoded: a
// SentencePiece tokenizer takes a space from the head of a whole text, not of what is
// added to one. Control tokens are no text.
func (s *Stream) Continue(ids []int32) {
	for _, id := range ids {
		s.begun = s.begun || len(s.t.TokenBytes(id)) > 0 && !s.t.IsSpecial(id)
	}
}

// Push takes the next id and returns the text that is now certain.
func (s *Stream) Push(id int32) string {
	if s.skipSpecial && s.t.IsSpecial(id) {
		return ""
	}
	s.held = append(s.held, s.bytes(id)...)
	whole := len(s.held) - unfinished(s.held)
	if whole == 0 {
		return ""
	}
	text := replaceInvalid(s.held[:whole])
	s.held = append(s.held[:0], s.held[whole:]...)
	return text
}

// bytes is what id adds.
func (s *Stream) bytes(id int32) []byte {
	b := s.t.TokenBytes(id)
	if s.begun || len(b) == 0 || !s.t.chars {
		return b
	}
	b, s.strip = s.t.decoder.head(b, s.strip)
	s.begun = s.strip == 0
	return b
}

// Flush ends the text: a character that was not completed becomes U+FFFD. The stream
// may be used again.
func (s *Stream) Flush() string {
	text := replaceInvalid(s.held)
	s.held = s.held[:0]
	s.begun, s.strip = false, s.t.decoder.strip
	return text
}

// unfinished is the length of the incomplete character that b ends in.
func unfinished(b []byte) int {
	for n := 1; n <= min(3, len(b)); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// replaceInvalid is b as text, each maximal part of a character as one U+FFFD
// (The Unicode Standard, 3.9, "Best Practices for Using U+FFFD").
func replaceInvalid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = invalidPart(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out)
}

// invalidPart is the length of the longest head of b that some character begins with;
// at least 1.
func invalidPart(b []byte) int {
	n := 1
	for n < len(b) && n < utf8.UTFMax && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return n
}
