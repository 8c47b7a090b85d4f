package engine

import (
	"context"
	"errors"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sched"
)

// flight is a submitted step.
type flight struct {
	batch sched.Batch
	began time.Time
}

// waitPatience is how long one Wait may take before the loop looks at its context.
const waitPatience = 200 * time.Millisecond

// Run plans, submits and completes steps until ctx ends (nil) or the backend fails.
// While a step runs the next one is planned and submitted.
func (e *Engine) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, e.rouse)
	defer stop()
	err := e.loop(ctx)
	e.end(err)
	return err
}

func (e *Engine) loop(ctx context.Context) error {
	defer e.pulse.rest()
	for ctx.Err() == nil {
		e.pulse.beat(e.cfg.Now())
		e.takeIn()
		planned, err := e.launch()
		if err != nil {
			return err
		}
		switch {
		case planned && len(e.flight) < abi.Queue:
		case len(e.flight) > 0:
			if err := e.land(ctx); err != nil {
				return err
			}
		default:
			e.sleep(ctx)
		}
	}
	return nil
}

// sleep waits for something to do.
func (e *Engine) sleep(ctx context.Context) {
	e.pulse.rest()
	var deadline <-chan time.Time
	if at := e.nextDeadline(); !at.IsZero() {
		timer := time.NewTimer(at.Sub(e.cfg.Now()))
		defer timer.Stop()
		deadline = timer.C
	}
	select {
	case <-e.wake:
	case <-deadline:
	case <-ctx.Done():
	}
}

// takeIn reads the mailbox: new sequences and cancellations; then the clock.
func (e *Engine) takeIn() {
	e.mu.Lock()
	inbox, cancels, all := e.inbox, e.cancels, e.cancelAll
	e.inbox, e.cancels = nil, nil
	e.mu.Unlock()
	for _, s := range inbox {
		e.owners[&s.place] = s
		e.sched.Add(&s.place)
		if s.before.stop {
			s.tell(func() { s.accepted = &Accepted{PromptTokens: len(s.req.Prompt)} })
			e.finish(s, stopped(s.before), e.cfg.Now())
		}
	}
	for _, s := range cancels {
		e.cancel(s)
	}
	if all {
		for _, s := range e.owners {
			e.cancel(s)
		}
	}
	e.expire()
}

// expire cancels what is past its deadline.
func (e *Engine) expire() {
	for _, s := range e.owners {
		if d := s.req.Deadline; !d.IsZero() && !e.cfg.Now().Before(d) {
			e.cancel(s)
		}
	}
}

func (e *Engine) nextDeadline() (first time.Time) {
	for _, s := range e.owners {
		if d := s.req.Deadline; !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// launch plans and submits one step; false when there is nothing to do or no room.
func (e *Engine) launch() (bool, error) {
	if len(e.flight) == abi.Queue {
		return false, nil
	}
	f := e.spare[len(e.spare)-1]
	for open := false; !open || f.batch.Empty(); {
		e.sched.Plan(&f.batch)
		if f.batch.Empty() {
			return false, nil
		}
		f.began = e.cfg.Now()
		if err := e.openSlots(f); err != nil {
			return false, err
		}
		open = true
	}
	e.spare = e.spare[:len(e.spare)-1]
	e.seq++
	f.batch.Step.Seq = e.seq
	e.flight = append(e.flight, f)
	return true, e.cfg.Backend.Submit(&f.batch.Step)
}

// openSlots opens the slots of a planned step. What the backend refuses of one
// sequence ends that one; its row leaves the step.
func (e *Engine) openSlots(f *flight) error {
	for _, p := range f.batch.Opens {
		s := e.owners[p]
		err := e.openSlot(s, f.began)
		switch {
		case errors.Is(err, abi.ErrInvalid), errors.Is(err, abi.ErrUnsupported), errors.Is(err, abi.ErrNoMem):
			e.sched.Refuse(&f.batch, p)
			e.fail(s, err)
		case err != nil:
			return err
		}
	}
	return nil
}

// openSlot opens the slot that the scheduler gave a sequence.
func (e *Engine) openSlot(s *Sequence, now time.Time) error {
	r := s.req
	eos := r.StopTokens
	if !r.IgnoreEOS {
		eos = append(append([]int32(nil), e.cfg.EOS...), r.StopTokens...)
	}
	sampling := r.Sampling
	if s.place.Score > 0 {
		sampling.PromptTop = uint32(*r.PromptLogprobs)
	}
	own := len(r.Prompt) - r.Resumed
	err := e.cfg.Backend.OpenSlot(&abi.Slot{
		Slot: s.place.Slot, Start: uint32(s.place.Start()), PromptLen: uint32(own),
		MinPosition: uint32(own + r.MinTokens), EOS: eos, Biases: r.Biases,
		Sampling: sampling, Seed: r.Seed, Choice: r.Choice,
	})
	if err == nil && s.admitted.IsZero() {
		s.admitted = now
		e.meter.prompt += uint64(len(r.Prompt))
		e.meter.cached += uint64(s.place.Cached)
		s.tell(func() { s.accepted = &Accepted{PromptTokens: len(r.Prompt), CachedTokens: s.place.Cached} })
	}
	return err
}

// land waits for the oldest step and takes in its result.
func (e *Engine) land(ctx context.Context) error {
	f := e.flight[0]
	for {
		err := e.cfg.Backend.Wait(f.batch.Step.Seq, &e.result, waitPatience)
		if err == nil {
			break
		}
		if !errors.Is(err, abi.ErrTimeout) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	copy(e.flight, e.flight[1:])
	e.flight = e.flight[:len(e.flight)-1]
	e.spare = append(e.spare, f)
	now := e.cfg.Now()
	e.meter.step(f, now)
	rest := reports{&e.result, e.cfg.Width, 0, 0}
	for i := range f.batch.Rows {
		e.row(f, i, &e.result.Rows[i], rest.of(&f.batch.Step.Rows[i]), now)
	}
	e.publish()
	return nil
}

// row takes in what one row of a step gave.
func (e *Engine) row(f *flight, i int, r *abi.ResultRow, told report, now time.Time) {
	row := &f.batch.Rows[i]
	sampled := row.Sample && r.Status == abi.RowOK && r.Accepted > 0
	if !e.sched.Complete(&f.batch, i, r.Tokens[0], sampled) {
		return
	}
	s := e.owners[row.Sequence]
	switch {
	case r.Status == abi.RowNaN || !told.sound():
		e.fail(s, &NumericError{Position: row.End})
	case s.place.Pool != 0:
		if s.pool(row, told.vector) {
			e.sched.Prove(&f.batch, i)
			e.finish(s, Finished{Reason: FinishStop}, now)
		}
	default:
		s.score(row.Start, told.prompt)
		if sampled {
			e.token(s, r, now)
		}
	}
}
