package sched

import (
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Plan fills b with the next step. It may be called while up to abi.Queue-1 earlier
// batches are not complete.
func (s *Scheduler) Plan(b *Batch) {
	b.reset()
	budget := int(s.limits.MaxTokens)
	// One token of the budget is kept for each sequence that decodes: a long prompt
	// ahead of it slows it down but never stalls it.
	kept := s.decoding()
	for i := 0; i < len(s.running); i++ {
		seq := s.running[i]
		if budget == 0 || len(b.Rows) == int(s.limits.MaxRows) {
			break
		}
		if seq.length() >= seq.Most {
			continue // its last token is on the way
		}
		if seq.decodes() {
			kept--
		}
		n := min(seq.pending(), budget-kept)
		if n == 0 {
			continue
		}
		if !s.provide(b, seq, n) {
			break // it was preempted itself: nobody after it runs
		}
		s.row(b, seq, n)
		budget -= n
	}
	s.admit(b, budget)
	// Slots closed by this step are open again for the next one.
	b.Step.Closes = append(b.Step.Closes, s.closes...)
	s.free = append(s.free, s.closes...)
	s.closes = s.closes[:0]
}

// decoding counts the sequences that want one token of this step.
func (s *Scheduler) decoding() (n int) {
	for _, seq := range s.running {
		if seq.decodes() {
			n++
		}
	}
	return min(n, int(s.limits.MaxRows), int(s.limits.MaxTokens))
}

// provide gives seq the pages for n more positions, taking them from the sequences
// that matter least. False when seq itself had to give way.
func (s *Scheduler) provide(b *Batch, seq *Sequence, n int) bool {
	for need := pagesFor(seq.submitted + n); len(seq.pages) < need; {
		page, ok := s.pool.Take()
		if !ok {
			last := s.running[len(s.running)-1]
			s.preempt(last)
			if last == seq {
				return false
			}
			continue
		}
		s.assign(b, seq, page)
	}
	return true
}

func (s *Scheduler) assign(b *Batch, seq *Sequence, page uint32) {
	b.Step.Pages = append(b.Step.Pages, abi.PageDelta{Slot: seq.Slot, Index: uint32(len(seq.pages)), Page: page})
	seq.pages = append(seq.pages, page)
}

// row appends the sequence's next n tokens.
func (s *Scheduler) row(b *Batch, seq *Sequence, n int) {
	r := abi.Row{Slot: seq.Slot, Tokens: uint32(n)}
	end := seq.submitted + n
	if known := len(seq.Tokens); seq.submitted < known {
		b.Step.Tokens = append(b.Step.Tokens, seq.Tokens[seq.submitted:min(end, known)]...)
	} else {
		r.Flags |= abi.RowContinue
	}
	sample := end == seq.length() && seq.Pool == 0
	if sample {
		r.Flags |= abi.RowSample
		seq.unknown++
	}
	report(&r, seq, end)
	prompt := n
	if n == 1 && seq.submitted >= seq.first {
		prompt = 0
	}
	seq.submitted = end
	b.Step.Rows = append(b.Step.Rows, r)
	b.Rows = append(b.Rows, Row{Sequence: seq, Start: end - n, End: end, Sample: sample, Prompt: prompt, epoch: seq.epoch})
}

// report asks for what the sequence wants to know beside a sampled token.
func report(r *abi.Row, seq *Sequence, end int) {
	if start := end - int(r.Tokens); start+1 < seq.Score {
		r.Flags |= abi.RowPromptLogprobs
		r.Next = -1
		if end < seq.Score {
			r.Next = seq.Tokens[end]
		}
	}
	if seq.Pool&abi.RowPoolSum != 0 || end == len(seq.Tokens) {
		r.Flags |= seq.Pool
	}
}

// admit gives slots to waiting sequences while there is room for all their tokens,
// beside those that running ones have not been given pages for yet: else one prompt
// would be admitted only to lose its slot to another.
func (s *Scheduler) admit(b *Batch, budget int) {
	for budget > 0 && len(b.Rows) < int(s.limits.MaxRows) && len(s.free) > 0 {
		seq := s.queue.First()
		// A preempted sequence whose last token is still on the way waits for it.
		if seq == nil || seq.unknown > 0 || !s.prefix(seq, s.owed()) {
			return
		}
		s.queue.Pop()
		s.open(b, seq)
		n := min(seq.pending(), budget)
		s.provide(b, seq, n)
		s.row(b, seq, n)
		budget -= n
	}
}

// owed is how many pages the running sequences will still take for tokens they have.
func (s *Scheduler) owed() (pages int) {
	for _, seq := range s.running {
		pages += seq.owes()
	}
	return pages
}

// prefix takes the longest cached prefix for seq; false, with nothing taken, when the
// pages for the rest are not there beside those that are owed.
func (s *Scheduler) prefix(seq *Sequence, owed int) bool {
	if s.prefixes && !seq.whole() {
		// The last token is computed in any case: its logits are what is sampled from.
		full := (len(seq.Tokens) - 1) / abi.PageLen
		if full > 0 {
			seq.hash(full - 1)
		}
		seq.pages = s.pool.Find(seq.chain[:full])
	}
	if s.pool.Available()-owed < pagesFor(len(seq.Tokens)+1)-len(seq.pages) {
		s.pool.ReleaseAll(seq.pages)
		seq.pages = nil
		return false
	}
	return true
}

// open puts seq into a slot with the pages it has found.
func (s *Scheduler) open(b *Batch, seq *Sequence) {
	seq.Slot = s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	seq.submitted, seq.published = len(seq.pages)*abi.PageLen, len(seq.pages)
	if !seq.admitted {
		seq.admitted, seq.Cached, seq.first = true, seq.submitted, len(seq.Tokens)
	}
	seq.state = running
	for i, page := range seq.pages {
		b.Step.Pages = append(b.Step.Pages, abi.PageDelta{Slot: seq.Slot, Index: uint32(i), Page: page})
	}
	at, _ := slices.BinarySearchFunc(s.running, seq, func(a, b *Sequence) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	s.running = slices.Insert(s.running, at, seq)
	b.Opens = append(b.Opens, seq)
}

// Start is the position that an opened sequence begins at.
func (s *Sequence) Start() int { return s.published * abi.PageLen }
