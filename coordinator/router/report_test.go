package router

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// played is a fleet whose engines give these events, one list after another; each
// stream breaks at its list's end.
type played struct {
	*fleet
	lives [][]*wire.GenerateEvent
}

func (p *played) Generate(context.Context, string, *wire.GenerateRequest) (EventStream, error) {
	life := p.lives[0]
	p.lives = p.lives[1:]
	return &playing{life}, nil
}

type playing struct{ events []*wire.GenerateEvent }

func (p *playing) Recv() (*wire.GenerateEvent, error) {
	if len(p.events) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	ev := p.events[0]
	p.events = p.events[1:]
	return ev, nil
}

func (p *playing) Close() error { return nil }

func accepted() *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Accepted{Accepted: &wire.Accepted{Seed: 1}}}
}

func scores(ids ...int32) *wire.GenerateEvent {
	p := &wire.PromptLogprobs{}
	for _, id := range ids {
		p.Tokens = append(p.Tokens, &wire.Logprob{Id: id})
	}
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_PromptLogprobs{PromptLogprobs: p}}
}

func vector(values ...float32) *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Pooled{Pooled: &wire.Pooled{Values: values}}}
}

// Logprobs of a prompt and its vector are shown once, however often an engine breaks
// before its first token.
func TestReportsAreShownOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		lives  [][]*wire.GenerateEvent
		scores []int32
		values []float32
	}{
		{"at once", [][]*wire.GenerateEvent{{accepted(), scores(1, 2), scores(3), finished(wire.FinishReason_FINISH_REASON_LENGTH)}}, []int32{1, 2, 3}, nil},
		{"broken in between", [][]*wire.GenerateEvent{
			{accepted(), scores(1, 2)}, {accepted(), scores(1)}, {accepted(), scores(1, 2, 3), scores(4), finished(wire.FinishReason_FINISH_REASON_LENGTH)},
		}, []int32{1, 2, 3, 4}, nil},
		{"broken behind all", [][]*wire.GenerateEvent{
			{accepted(), scores(1, 2, 3)}, {accepted(), scores(1), scores(2, 3), finished(wire.FinishReason_FINISH_REASON_LENGTH)},
		}, []int32{1, 2, 3}, nil},
		{"a vector without its end", [][]*wire.GenerateEvent{
			{accepted(), vector(1, 2)}, {accepted(), vector(1, 2), finished(wire.FinishReason_FINISH_REASON_STOP)},
		}, nil, []float32{1, 2}},
	} {
		inTime(t, func(t *testing.T) {
			f := newFleet("a")
			s, err := New(DefaultConfig(), f, &played{f, c.lives}, time.Now).Generate(t.Context(), "m", ask(1, 2, 3))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var ids []int32
			var values []float32
			for {
				ev, err := s.Recv()
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				for _, l := range ev.GetPromptLogprobs().GetTokens() {
					ids = append(ids, l.GetId())
				}
				values = append(values, ev.GetPooled().GetValues()...)
			}
			if !slices.Equal(ids, c.scores) || !slices.Equal(values, c.values) {
				t.Errorf("%s: scores of %v, vector %v; want %v, %v", c.name, ids, values, c.scores, c.values)
			}
		})
	}
}
