package sched

import "github.com/nanofleet/nanofleet/engine/abi"

// Complete takes in the token that row i of a batch sampled, if it did, and makes the
// pages that the row filled findable. It returns false for a row whose sequence has
// gone since: its token counts no more. Rows are completed in order, once each.
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
	}
	if s.prefixes && r.epoch == seq.epoch {
		for full := r.End / abi.PageLen; seq.published < full; seq.published++ {
			s.pool.Publish(seq.pages[seq.published], seq.hash(seq.published))
		}
	}
	return true
}
