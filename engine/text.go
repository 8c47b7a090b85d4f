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

// newText replays the resumed tokens: what was certain after them has been sent, and
// what was held back goes on. ended tells that the last of them had ended the sequence,
// though nobody was told.
func newText(t *tokenizer.Tokenizer, r *Request, eos []int32) (x *text, ended verdict) {
	x = &text{req: r, stream: t.NewStream(!r.KeepSpecial), stops: sample.NewStops(r.Stop, r.IncludeStop)}
	x.stream.Continue(r.Prompt[:len(r.Prompt)-r.Resumed])
	for i, id := range r.Prompt[len(r.Prompt)-r.Resumed:] {
		ended = x.push(id, i+1, eos)
	}
	return x, ended
}

// verdict on a token.
type verdict struct {
	text       string
	stop       bool
	stopString string
	stopToken  int32
	byToken    bool
}

// push takes the token of the given number, from 1; resumed ones count.
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
	if number <= t.req.MinTokens {
		v.text = t.stops.Pass(piece)
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
