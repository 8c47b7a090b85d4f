package gateway

import (
	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// encode turns a rendered conversation into token ids. Control tokens are made of
// trusted text only.
func encode(t *tokenizer.Tokenizer, segments []chat.Segment) []int32 {
	parts := make([]tokenizer.Segment, len(segments))
	for i, s := range segments {
		parts[i] = tokenizer.Segment{Text: s.Text, Trusted: s.Trusted}
	}
	return t.EncodeSegments(parts)
}
