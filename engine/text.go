package engine

import (
	"slices"

	"github.com/nanofleet/nanofleet/engine/kv"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// rootOf separates the prefix caches of different salts.
func rootOf(salt []byte) kv.Hash { return kv.Root(salt) }

// text turns a sequence's tokens into its text and finds where it stops.
type text struct {
	req    *Request
	stream *tokenizer.Stream
	stops  *sample.Stops
}

func newText(t *tokenizer.Tokenizer, r *Request) *text {
	x := &text{req: r, stream: t.NewStream(!r.KeepSpecial), stops: sample.NewStops(r.Stop, r.IncludeStop)}
	// What was certain after the resumed tokens has been sent; what was held back goes on.
	for _, id := range r.Prompt[len(r.Prompt)-r.Resumed:] {
		x.stops.Push(x.stream.Push(id))
	}
	return x
}

// verdict on a token.
type verdict struct {
	text       string
	stop       bool
	stopString string
	stopToken  int32
	byToken    bool
}

// push takes the token of the given number, from 1.
func (t *text) push(id int32, number int, eos []int32) (v verdict) {
	asked := slices.Contains(t.req.StopTokens, id)
	if number > t.req.MinTokens && (asked || !t.req.IgnoreEOS && slices.Contains(eos, id)) {
		v.stop, v.byToken, v.stopToken = true, true, id
		if t.req.IncludeStop {
			v.text, _, _ = t.stops.Push(t.stream.Push(id))
		}
		v.text += t.end()
		return v
	}
	piece := t.stream.Push(id)
	if number <= t.req.MinTokens && len(t.req.Stop) > 0 {
		// Too early to stop: the text so far is certain.
		v.text = piece
		return v
	}
	v.text, v.stopString, v.stop = t.stops.Push(piece)
	return v
}

// end gives what was held back.
func (t *text) end() string {
	rest, _, done := t.stops.Push(t.stream.Flush())
	if done {
		return rest
	}
	return rest + t.stops.Flush()
}
