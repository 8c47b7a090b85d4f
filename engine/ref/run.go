package ref

import (
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// serve runs jobs in order until Close.
func (e *Engine) serve() {
	for {
		waiting := time.Now()
		select {
		case <-e.quit:
			return
		case j := <-e.jobs:
			began := time.Now()
			if !e.run(j) {
				return
			}
			busy := time.Since(began)
			j.ns = uint64(busy)
			e.account(j, busy, began.Sub(waiting))
			close(j.done)
		}
	}
}

// run computes one job; false when Close came while it waited for masks.
func (e *Engine) run(j *job) bool {
	for _, c := range j.copies {
		e.pool.copyPage(c.From, c.To)
	}
	p := newPass(e, j)
	for i := range e.tail {
		p.op(&e.ops[i])
	}
	p.unsound()
	for i := range j.rows {
		if row := &j.rows[i]; row.Flags&abi.RowPromptLogprobs != 0 {
			p.score(row)
		}
		if row := &j.rows[i]; row.Flags&abi.RowPool != 0 {
			p.poolRow(row)
		}
	}
	p.tail(p.samples, len(e.ops))
	p.keepLogits()
	p.sample(false)
	if p.late {
		select {
		case <-e.quit:
			return false
		case <-j.masks:
			p.sample(true)
		}
	}
	return true
}

// Wait blocks until the oldest step in flight, which must be seq, is done.
func (e *Engine) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	e.mu.Lock()
	var j *job
	if len(e.queue) > 0 && e.queue[0].seq == seq {
		j = e.queue[0]
	}
	e.mu.Unlock()
	if j == nil {
		return abi.Errorf(abi.Invalid, "wait", "step %d is not the oldest in flight", seq)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-j.done:
	case <-e.quit:
		return abi.Errorf(abi.Invalid, "wait", "the engine is closed")
	case <-timer.C:
		return abi.Errorf(abi.Timeout, "wait", "step %d runs after %v", seq, timeout)
	}
	e.mu.Lock()
	e.queue = e.queue[1:]
	e.mu.Unlock()
	r.Seq, r.ComputeNS = j.seq, j.ns
	r.Rows, r.Aux, r.Prompt = r.Rows[:0], r.Aux[:0], r.Prompt[:0]
	for i := range j.rows {
		r.Rows = append(r.Rows, j.rows[i].result)
		r.Aux = append(r.Aux, j.rows[i].aux...)
		r.Prompt = append(r.Prompt, j.rows[i].prompt...)
	}
	return nil
}
