package server

import (
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/wire"
)

// events are all of a generate exchange.
func (p *process) events(r *wire.GenerateRequest) (all []*wire.GenerateEvent) {
	p.t.Helper()
	conn := p.open(wire.StreamKind_STREAM_KIND_GENERATE, r)
	for {
		ev := &wire.GenerateEvent{}
		if err := wire.ReadFrame(conn, ev); err == io.EOF {
			return all
		} else if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, ev)
	}
}

// TestPromptLogprobs asks for those of a prompt: accepted, then one for each token but
// the first, with alternatives and bytes, then tokens.
func TestPromptLogprobs(t *testing.T) {
	p, _ := loaded(t)
	r := greedy([]int32{70, 71, 72, 73}, 1)
	r.PromptLogprobs = proto.Uint32(2)
	events := p.events(r)
	if len(events) != 4 || events[0].GetAccepted() == nil || events[2].GetTokens() == nil || events[3].GetFinished() == nil {
		t.Fatalf("events %v", events)
	}
	scores := events[1].GetPromptLogprobs().GetTokens()
	for i, l := range scores {
		best := l.GetTop()[0]
		if l.GetId() != r.Prompt[i+1] || len(l.GetToken()) == 0 || len(l.GetTop()) != 2 || !(l.GetLogprob() < 0) ||
			l.GetRank() < 1 || (l.GetRank() == 1) != (l.GetLogprob() == best.GetLogprob()) {
			t.Errorf("token %d: %v", i+1, l)
		}
	}
	if len(scores) != 3 {
		t.Errorf("%d logprobs, want 3", len(scores))
	}
}

// TestVectors pools a prompt in both ways.
func TestVectors(t *testing.T) {
	p, _ := loaded(t)
	conn := p.agent()
	width := int(p.until(conn, isReady)[0].GetReady().GetWidth())
	for _, pool := range []wire.Pooling{wire.Pooling_POOLING_LAST, wire.Pooling_POOLING_MEAN} {
		r := greedy([]int32{70, 71, 72, 73}, 0)
		r.Pool = pool
		events := p.events(r)
		if len(events) != 3 || events[0].GetAccepted() == nil || len(events[1].GetPooled().GetValues()) != width || width == 0 {
			t.Fatalf("events %v of vectors of %d", events, width)
		}
		if f := events[2].GetFinished(); f.GetReason() != wire.FinishReason_FINISH_REASON_STOP || f.GetPromptTokens() != 4 || f.GetGeneratedTokens() != 0 {
			t.Errorf("finished %v", f)
		}
	}
	r := greedy([]int32{70}, 1)
	r.Pool = 9
	if e := p.ask(r).err; e.GetCode() != wire.ErrorCode_ERROR_CODE_INVALID || e.GetParam() != "pool" {
		t.Errorf("an unknown way: %v", e)
	}
}

// TestPieces cuts what a slow reader left to grow; each piece fits a frame with the
// most alternatives of the longest tokens there are.
func TestPieces(t *testing.T) {
	one := engine.TokenLogprob{Top: make([]engine.TokenLogprob, 20)}
	var whole engine.PromptLogprobs
	for i := range 3*piece + 1 {
		one.ID = int32(i)
		whole.Tokens = append(whole.Tokens, one)
	}
	g := &generation{instance: &instance{tokens: func(int32) []byte { return make([]byte, 256) }}}
	next := int32(0)
	for _, ev := range pieces(whole) {
		b, err := wire.AppendFrame(nil, g.event(ev))
		if err != nil || len(b) > wire.FrameMax/2 {
			t.Errorf("a piece of %d bytes, %v", len(b), err)
		}
		for _, l := range ev.(engine.PromptLogprobs).Tokens {
			if l.ID != next {
				t.Fatalf("token %d comes where %d was due", l.ID, next)
			}
			next++
		}
	}
	if int(next) != len(whole.Tokens) {
		t.Errorf("%d tokens of %d", next, len(whole.Tokens))
	}
}
