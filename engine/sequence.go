package engine

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/engine/sched"
)

// Sequence is a submitted request. Next is for one caller at a time, Cancel for any.
type Sequence struct {
	engine *Engine
	req    *Request
	place  sched.Sequence
	text   *text
	before verdict // on the last resumed token

	// The loop's own.
	submitted time.Time
	admitted  time.Time
	first     time.Time // of the first token
	generated int
	ended     bool
	scored    int       // tokens of the prompt whose logprobs were told
	sums      []float64 // of a mean, over the rows so far

	mu        sync.Mutex // guards what follows
	accepted  *Accepted
	prompt    PromptLogprobs // these three not yet taken by Next
	pooled    *Pooled
	tokens    Tokens
	finished  *Finished
	err       error
	over      bool // finished or err was taken
	cancelled bool
	ready     chan struct{} // one pending signal to Next
}

func newSequence(e *Engine, r *Request, most int) *Sequence {
	s := &Sequence{engine: e, req: r, ready: make(chan struct{}, 1)}
	s.text, s.before = newText(e.cfg.Tokenizer, r, e.cfg.EOS)
	s.place = sched.Sequence{
		Priority: r.Priority,
		Tokens:   append(make([]int32, 0, len(r.Prompt)+64), r.Prompt...),
		Most:     most,
		Root:     rootOf(r.Salt),
		Pool:     pooled[r.Pool],
	}
	if n := len(r.Prompt); r.PromptLogprobs != nil && r.Resumed == 0 && n > 1 {
		s.place.Score = n
	}
	return s
}

// Next waits for the next event: Accepted, then PromptLogprobs and Pooled if they were
// asked for, then Tokens as they come, then Finished, then io.EOF. What comes of several
// steps is one event when the caller is slower than the engine. Another error ends the sequence: the engine's, or a *NumericError.
// When ctx ends the sequence goes on; call Cancel to end it.
func (s *Sequence) Next(ctx context.Context) (Event, error) {
	for {
		if ev, err, ok := s.take(); ok {
			return ev, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take gives what is there.
func (s *Sequence) take() (Event, error, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.accepted != nil:
		ev := *s.accepted
		s.accepted = nil
		return ev, nil, true
	case len(s.prompt.Tokens) > 0:
		ev := s.prompt
		s.prompt = PromptLogprobs{}
		return ev, nil, true
	case s.pooled != nil:
		ev := *s.pooled
		s.pooled = nil
		return ev, nil, true
	case len(s.tokens.IDs) > 0 || s.tokens.Text != "":
		ev := s.tokens
		s.tokens = Tokens{}
		return ev, nil, true
	case s.over:
		return nil, io.EOF, true
	case s.err != nil:
		s.over = true
		return nil, s.err, true
	case s.finished != nil:
		s.over = true
		return *s.finished, nil, true
	}
	return nil, nil, false
}

// Cancel ends the sequence: its slot is free with the next step. It may be called at
// any time and more than once.
func (s *Sequence) Cancel() {
	s.mu.Lock()
	again := s.cancelled
	s.cancelled = true
	s.mu.Unlock()
	if again {
		return
	}
	s.engine.mu.Lock()
	s.engine.cancels = append(s.engine.cancels, s)
	s.engine.rouse()
	s.engine.mu.Unlock()
}

// tell changes what Next will give and wakes it.
func (s *Sequence) tell(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
