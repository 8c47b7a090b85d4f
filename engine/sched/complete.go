package sched

import (
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Complete takes in the token that row i of a batch sampled, if it did, and makes the
// sequence's full pages findable: a sampled token proves them, since a NaN at any
// position before would have reached its logits or been reported of its own row
// ([Scheduler.Prove] is for rows that pool). Complete returns false for a row
// whose sequence has gone since: its token counts no more. Rows are completed in
// order, once each.
func (s *Scheduler) Complete(b *Batch, i int, token int32, sampled bool) bool {
	r := &b.Rows[i]
	seq := r.Sequence
	if r.Sample {
		seq.unknown--
	}
	if seq.state == idle {
		return false
	}
	if sampled {
		seq.Tokens = append(seq.Tokens, token)
		s.Prove(b, i)
	}
	return true
}

// Prove makes the full pages up to the end of row i findable, if its sequence has held
// its slot since: something was computed from them all that is a number.
func (s *Scheduler) Prove(b *Batch, i int) {
	r := &b.Rows[i]
	seq := r.Sequence
	if !s.prefixes || r.epoch != seq.epoch {
		return
	}
	for full := r.End / abi.PageLen; seq.published < full; seq.published++ {
		s.pool.Publish(seq.pages[seq.published], seq.hash(seq.published))
	}
}

// Refuse takes a sequence that b opens out again, with its row, tokens and pages: the
// backend would not open its slot. b was not submitted yet.
func (s *Scheduler) Refuse(b *Batch, seq *Sequence) {
	at := 0 // its first token
	for i := range b.Rows {
		row := b.Step.Rows[i]
		if b.Rows[i].Sequence != seq {
			at += row.Explicit()
			continue
		}
		if b.Rows[i].Sample {
			seq.unknown--
		}
		b.Step.Tokens = slices.Delete(b.Step.Tokens, at, at+row.Explicit())
		b.Step.Rows = slices.Delete(b.Step.Rows, i, i+1)
		b.Rows = slices.Delete(b.Rows, i, i+1)
		break
	}
	b.Step.Pages = slices.DeleteFunc(b.Step.Pages, func(d abi.PageDelta) bool { return d.Slot == seq.Slot })
	s.evict(seq)
	s.closes = s.closes[:len(s.closes)-1] // it was never open
	s.free = append(s.free, seq.Slot)
	seq.state = idle
}
