package router

import (
	"context"
	"io"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// Stream is one sequence, whichever instances run it. One goroutine uses it.
type Stream struct {
	r     *Router
	ctx   context.Context
	model string
	asked *wire.GenerateRequest

	current  EventStream    // nil between instances
	on       Candidate      // where current runs
	running  bool           // it accepted
	accepted *wire.Accepted // by the first instance
	version  string         // that accepted it
	ids      []int32
	scored   int       // tokens of the prompt whose logprobs were shown
	heard    int       // and those that the current instance gave
	pooled   bool      // the vector was
	alive    time.Time // when the last event came
	breaks   int
	shuns    shuns
	full     bool // its context is
	over     bool

	standing  standing
	trial     *place // while it is tried, or waits for it
	triedFrom int    // how many tokens it had when it was last suspected
}

// Recv waits for the next event: Accepted, Tokens and Finished as from one instance,
// then io.EOF. It fails as soon as the context of Generate ends.
func (s *Stream) Recv() (*wire.GenerateEvent, error) {
	for !s.over {
		if s.current == nil {
			if err := s.open(); err != nil {
				return nil, s.fail(err)
			}
		}
		ev, err := s.current.Recv()
		if cause := context.Cause(s.ctx); cause != nil {
			return nil, s.fail(cause)
		}
		if err != nil {
			err = s.broke()
		} else {
			s.alive = s.r.now()
			ev, err = s.take(ev)
		}
		if err != nil {
			return nil, s.fail(err)
		}
		if ev != nil {
			return ev, nil
		}
		if s.current == nil || s.full {
			if f := s.ended(); f != nil {
				return f, nil
			}
		}
	}
	return nil, io.EOF
}

// fail ends the stream.
func (s *Stream) fail(err error) error {
	s.over = true
	s.endTrial(false)
	return err
}

// take gives the event that the client shall see, if any.
func (s *Stream) take(ev *wire.GenerateEvent) (*wire.GenerateEvent, error) {
	switch e := ev.GetEvent().(type) {
	case *wire.GenerateEvent_Accepted:
		return s.takeAccepted(ev, e.Accepted), nil
	case *wire.GenerateEvent_Tokens:
		s.ids = append(s.ids, e.Tokens.GetIds()...)
		s.prove()
		return ev, nil
	case *wire.GenerateEvent_PromptLogprobs:
		return s.takeScores(e.PromptLogprobs), nil
	case *wire.GenerateEvent_Pooled:
		again := s.pooled
		s.pooled = true
		if again {
			return nil, nil
		}
		return ev, nil
	case *wire.GenerateEvent_Finished:
		if e.Finished.GetReason() == wire.FinishReason_FINISH_REASON_CANCELLED {
			return nil, s.broke() // not by us: its engine is being emptied
		}
		s.over = true
		s.r.suspects.leave(&s.standing)
		s.endTrial(true)
		s.whole(e.Finished)
		return ev, nil
	case *wire.GenerateEvent_Error:
		return nil, s.takeError(e.Error)
	}
	return nil, nil // of a newer version: not for us
}

// takeAccepted shows the first instance's word; those after it do not concern the client.
func (s *Stream) takeAccepted(ev *wire.GenerateEvent, a *wire.Accepted) *wire.GenerateEvent {
	s.running, s.heard = true, 0
	s.r.prefixes.ran(s.r.prefixes.chain(s.asked.GetCacheSalt(), s.asked.GetPrompt()), s.on.Instance)
	if s.accepted != nil {
		if len(s.ids) > 0 {
			s.r.resumed.Add(1)
		}
		return nil
	}
	s.accepted, s.version = a, s.on.Version
	return ev
}

// takeScores shows the logprobs that an earlier instance has not given: one that takes
// over before the first token begins with the prompt's first again.
func (s *Stream) takeScores(p *wire.PromptLogprobs) *wire.GenerateEvent {
	known := min(max(0, s.scored-s.heard), len(p.GetTokens()))
	s.heard += len(p.GetTokens())
	if s.scored = max(s.scored, s.heard); known == len(p.GetTokens()) {
		return nil
	}
	fresh := &wire.PromptLogprobs{Tokens: p.GetTokens()[known:]}
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_PromptLogprobs{PromptLogprobs: fresh}}
}

// takeError goes on elsewhere if that may help.
func (s *Stream) takeError(e *wire.Error) error {
	switch {
	case e.GetCode() == wire.ErrorCode_ERROR_CODE_BUSY:
		s.leave(time.Duration(e.GetRetryAfterMs()) * time.Millisecond)
		return nil
	case e.GetEngineEnded():
		return s.died()
	case passing(e):
		return s.broke()
	case e.GetCode() == wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH && len(s.ids) > 0:
		s.full = true // the tokens that came before filled it
		return nil
	}
	return &EngineError{e}
}

// broke leaves an instance that failed the request; too often is an error. One that
// had not accepted it was not broken by it.
func (s *Stream) broke() error {
	if s.running {
		s.breaks++
	}
	s.leave(0)
	if s.breaks > s.r.cfg.Breaks && s.finishedBy() == nil {
		return ErrBroken
	}
	return nil
}

// leave gives up the current instance, and shuns it for a while.
func (s *Stream) leave(wait time.Duration) {
	_ = s.current.Close() // it is of no more use whatever it says
	s.current = nil
	s.r.suspects.leave(&s.standing)
	s.shuns.add(s.on.Instance, wait, s.r.now())
}

// Close frees the sequence wherever it stands.
func (s *Stream) Close() error {
	s.over = true
	s.endTrial(false)
	if s.current == nil {
		return nil
	}
	err := s.current.Close()
	s.current = nil
	s.r.suspects.leave(&s.standing)
	return err
}
