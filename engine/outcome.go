package engine

import (
	"fmt"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// token takes in a sequence's next token.
func (e *Engine) token(s *Sequence, r *abi.ResultRow, now time.Time) {
	s.generated++
	e.meter.generated++
	if s.first.IsZero() {
		s.first = now
	}
	id := r.Tokens[0]
	v := s.text.push(id, s.req.Resumed+s.generated, e.cfg.EOS)
	full := len(s.place.Tokens) >= s.place.Most
	if full && !v.stop {
		v.text += s.text.end()
	}
	s.tell(func() {
		s.tokens.IDs = append(s.tokens.IDs, id)
		s.tokens.Text += v.text
		if s.req.Sampling.Logprobs {
			s.tokens.Logprobs = append(s.tokens.Logprobs, logprob(r))
		}
	})
	switch {
	case v.stop:
		e.finish(s, stopped(v), now)
	case full:
		e.finish(s, Finished{Reason: FinishLength}, now)
	}
}

func stopped(v verdict) Finished {
	return Finished{Reason: FinishStop, StopString: v.stopString, StopToken: v.stopToken, HasStopToken: v.byToken}
}

func logprob(r *abi.ResultRow) TokenLogprob {
	l := TokenLogprob{ID: r.Tokens[0], Logprob: r.Logprobs[0]}
	for i := range r.Top {
		l.Top = append(l.Top, TokenLogprob{ID: r.TopTokens[i], Logprob: r.TopLogprobs[i]})
	}
	return l
}

// cancel ends a sequence that its requester gave up.
func (e *Engine) cancel(s *Sequence) {
	if !s.ended {
		e.finish(s, Finished{Reason: FinishCancelled}, e.cfg.Now())
	}
}

// finish ends a sequence well.
func (e *Engine) finish(s *Sequence, f Finished, now time.Time) {
	f.Prompt, f.Cached, f.Generated = len(s.req.Prompt), s.place.Cached, s.generated
	f.Queue, f.Prefill, f.Decode = s.times(now)
	e.retire(s, func(st *Stats) {
		if f.Reason == FinishCancelled {
			st.Cancelled++
		} else {
			st.Finished++
		}
	})
	s.tell(func() { s.finished = &f })
}

// fail ends a sequence with an error.
func (e *Engine) fail(s *Sequence, err error) {
	e.retire(s, func(st *Stats) { st.Failed++ })
	s.tell(func() { s.err = err })
}

// retire takes a sequence out of the books.
func (e *Engine) retire(s *Sequence, count func(*Stats)) {
	s.ended = true
	e.sched.Remove(&s.place)
	delete(e.owners, &s.place)
	e.mu.Lock()
	defer e.mu.Unlock()
	count(&e.stats)
	if e.open--; e.open == 0 && e.idle != nil {
		close(e.idle)
		e.idle = nil
	}
}

// times splits a sequence's life: waiting, to the first token, to the end.
func (s *Sequence) times(now time.Time) (queue, prefill, decode time.Duration) {
	admitted, first := s.admitted, s.first
	if admitted.IsZero() {
		admitted = now
	}
	if first.IsZero() {
		first = now
	}
	return admitted.Sub(s.submitted), first.Sub(admitted), now.Sub(first)
}

// end ends every sequence when the loop does.
func (e *Engine) end(cause error) {
	if cause == nil {
		cause = ErrStopped
	} else {
		cause = fmt.Errorf("%w: %w", ErrBackend, cause)
	}
	e.mu.Lock()
	e.stopped = cause
	inbox := e.inbox
	e.inbox = nil
	e.mu.Unlock()
	for _, s := range inbox {
		e.owners[&s.place] = s
		e.sched.Add(&s.place)
	}
	for _, s := range e.owners {
		e.fail(s, cause)
	}
	e.publish()
}
