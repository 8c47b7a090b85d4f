package router

import (
	"context"
	"time"
)

// A sequence whose engine ended, and that may be the cause, is on trial until it has
// got past where it stood then. One of a model name is at a time, so that the next end
// of an engine has one suspect: the others wait for their turn.

// awaitTrial waits for the sequence's turn, if it is a suspect. A wait while others
// were tried is not taken from its patience.
func (s *Stream) awaitTrial() error {
	if s.standing.deaths == 0 || s.trial != nil {
		return nil
	}
	place, ok := s.r.trials.join(lineKey(s.asked.GetProject(), s.model), s.asked.GetPriority())
	if !ok {
		return &BusyError{s.model, retryAfter}
	}
	s.trial, s.triedFrom = place, len(s.ids)
	if place.isFirst() {
		return nil
	}
	if err := s.awaitTurn(place); err != nil {
		return err
	}
	if moved := s.r.tried(); moved.After(s.alive) {
		s.alive = moved
	}
	return nil
}

// awaitTurn waits until a place is first, the request's deadline or its context's end.
func (s *Stream) awaitTurn(p *place) error {
	var late <-chan time.Time
	if ms := s.asked.GetDeadlineUnixMs(); ms != 0 {
		timer := time.NewTimer(time.UnixMilli(ms).Sub(s.r.now()))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-p.first:
		return nil
	case <-late:
		return ErrDeadline
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// prove acquits the sequence once it has gained tokens enough.
func (s *Stream) prove() {
	if s.standing.proven || len(s.ids) < s.triedFrom+provenTokens {
		return
	}
	s.r.suspects.acquit(&s.standing)
	s.endTrial(true)
}

// endTrial lets the next suspect be tried; answered tells whether the trial found
// anything out.
func (s *Stream) endTrial(answered bool) {
	if s.trial == nil {
		return
	}
	if answered {
		s.r.noteTried(s.r.now())
	}
	s.r.trials.leave(s.trial)
	s.trial = nil
}

// died leaves an engine that ended with the sequence on it, and gives it up if it is
// the cause.
func (s *Stream) died() error {
	v := s.r.suspects.died(&s.standing)
	if v.blamed {
		s.breaks++
		s.triedFrom = len(s.ids)
	}
	s.leave(0)
	over := s.breaks > s.r.cfg.Breaks
	switch {
	case s.finishedBy() != nil:
		return nil // nothing is left to run
	case v.poison, over && v.alone:
		s.endTrial(true)
		return s.r.convict(fingerprintOf(s.on.Version, s.asked))
	case over:
		return ErrBroken
	}
	return nil
}
