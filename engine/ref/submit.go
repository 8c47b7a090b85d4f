package ref

import (
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// job is one submitted step with everything the runner needs to run it.
type job struct {
	seq    uint64
	rows   []jobRow
	tokens []int32 // of all rows; a RowContinue's place is filled by the runner
	copies []abi.PageCopy
	late   int           // rows whose mask is still to come
	masks  chan struct{} // closed once none is
	done   chan struct{} // closed when results are complete
	ns     uint64
}

// jobRow is one row of a job.
type jobRow struct {
	abi.Row
	seq    *sequence
	first  int      // index of its first token in job.tokens
	start  uint32   // position of its first token
	pages  []uint32 // of the sequence, by index
	mask   []uint32 // nil: every token is allowed
	late   bool     // mask is still to come
	result abi.ResultRow
	aux    []float32 // its logits, or its vector
	prompt []abi.PromptLogprob
}

// rowFlags are those honoured.
const rowFlags = abi.RowSample | abi.RowLateMask | abi.RowLogits | abi.RowContinue |
	abi.RowPromptLogprobs | abi.RowPool | abi.RowPoolSum

// Submit checks the step as a whole, takes its effects into the books and hands it
// to the runner. A refused step has no effect.
func (e *Engine) Submit(s *abi.Step) error {
	if !e.ready {
		return abi.Errorf(abi.Invalid, "submit", "finalise comes first")
	}
	if s.Seq != e.seq+1 {
		return abi.Errorf(abi.Invalid, "submit", "seq = %d, must be %d", s.Seq, e.seq+1)
	}
	if err := e.checkRoom(); err != nil {
		return err
	}
	b := &booking{engine: e, step: s, touched: map[uint32]*slot{}}
	j, err := b.book()
	if err != nil {
		return err
	}
	for n, slot := range b.touched {
		e.slots[n] = slot
	}
	e.seq = s.Seq
	e.mu.Lock()
	e.queue = append(e.queue, j)
	e.mu.Unlock()
	e.jobs <- j
	return nil
}

func (e *Engine) checkRoom() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return abi.Errorf(abi.Invalid, "submit", "the engine is closed")
	}
	if len(e.queue) == abi.Queue {
		return abi.Errorf(abi.Invalid, "submit", "%d steps are not yet waited for", abi.Queue)
	}
	return nil
}

// booking applies a step to copies of the slots it touches.
type booking struct {
	engine  *Engine
	step    *abi.Step
	touched map[uint32]*slot // nil: closed by this step
	inStep  map[uint32]bool  // slots with a row
	job     *job
}

// book follows the order of effects: closes, copies, pages, rows.
func (b *booking) book() (*job, error) {
	s, limits := b.step, b.engine.limits
	if len(s.Rows) > int(limits.MaxRows) {
		return nil, abi.Errorf(abi.Invalid, "submit", "%d rows, max_rows = %d", len(s.Rows), limits.MaxRows)
	}
	b.job = &job{seq: s.Seq, copies: slices.Clone(s.Copies), masks: make(chan struct{}), done: make(chan struct{})}
	b.inStep = map[uint32]bool{}
	for _, n := range s.Closes {
		if b.slot(n) == nil {
			return nil, abi.Errorf(abi.Invalid, "submit", "closes slot %d, which is not open", n)
		}
		b.touched[n] = nil
	}
	for _, c := range s.Copies {
		if err := b.checkCopy(c); err != nil {
			return nil, err
		}
	}
	for _, d := range s.Pages {
		if err := b.page(d); err != nil {
			return nil, err
		}
	}
	return b.job, b.rows()
}

// slot is the booking's own copy of a slot, nil when it is not open.
func (b *booking) slot(n uint32) *slot {
	if copied, ok := b.touched[n]; ok || n >= b.engine.limits.MaxSlots {
		return copied
	}
	original := b.engine.slots[n]
	if original == nil {
		return nil
	}
	copied := *original
	copied.pages = slices.Clone(original.pages)
	b.touched[n] = &copied
	return &copied
}

func (b *booking) checkCopy(c abi.PageCopy) error {
	if c.Kind != abi.CopyD2D || c.KVGroup != 0 {
		return abi.Errorf(abi.Unsupported, "submit", "page copy of kind %d, kv_group %d: only device to device in group 0", c.Kind, c.KVGroup)
	}
	if pages := b.engine.limits.Pages; c.From >= pages || c.To >= pages {
		return abi.Errorf(abi.Invalid, "submit", "page copy from %d to %d, n_pages = %d", c.From, c.To, pages)
	}
	return nil
}

// page gives a slot a page.
func (b *booking) page(d abi.PageDelta) error {
	s, limits := b.slot(d.Slot), b.engine.limits
	most := (limits.MaxPositions + abi.PageLen - 1) / abi.PageLen
	switch {
	case s == nil:
		return abi.Errorf(abi.Invalid, "submit", "page for slot %d, which is not open", d.Slot)
	case d.KVGroup != 0:
		return abi.Errorf(abi.Unsupported, "submit", "page of kv_group %d", d.KVGroup)
	case d.Page >= limits.Pages || d.Index >= most:
		return abi.Errorf(abi.Invalid, "submit", "page %d at index %d of slot %d: n_pages = %d, at most %d a slot", d.Page, d.Index, d.Slot, limits.Pages, most)
	}
	for len(s.pages) <= int(d.Index) {
		s.pages = append(s.pages, noPage)
	}
	s.pages[d.Index] = d.Page
	return nil
}

func (b *booking) rows() error {
	limits, left := b.engine.limits, b.step.Tokens
	for i, r := range b.step.Rows {
		s := b.slot(r.Slot)
		if err := b.checkRow(i, r, s); err != nil {
			return err
		}
		n := r.Explicit()
		if n > len(left) || uint64(len(b.job.tokens))+uint64(r.Tokens) > uint64(limits.MaxTokens) {
			return abi.Errorf(abi.Invalid, "submit", "row %d has %d tokens: %d are left in the step, max_tokens = %d", i, r.Tokens, len(left), limits.MaxTokens)
		}
		row := jobRow{Row: r, seq: s.seq, first: len(b.job.tokens), start: s.length, pages: s.pages, mask: b.engine.masks[r.MaskID]}
		if r.Flags&abi.RowContinue != 0 {
			b.job.tokens = append(b.job.tokens, 0)
		}
		for _, token := range left[:n] {
			if uint32(token) >= b.engine.plan.VocabSize {
				return abi.Errorf(abi.Invalid, "submit", "row %d: token %d, the vocabulary has %d", i, token, b.engine.plan.VocabSize)
			}
		}
		b.job.tokens = append(b.job.tokens, left[:n]...)
		left = left[n:]
		row.late = r.Flags&abi.RowLateMask != 0
		if row.late {
			b.job.late++
		}
		b.job.rows = append(b.job.rows, row)
		s.length += r.Tokens
		s.sampled = s.sampled || r.Flags&abi.RowSample != 0
	}
	if len(left) > 0 {
		return abi.Errorf(abi.Invalid, "submit", "%d tokens belong to no row", len(left))
	}
	return nil
}

// checkRow checks one row against its slot.
func (b *booking) checkRow(i int, r abi.Row, s *slot) error {
	limits := b.engine.limits
	switch {
	case s == nil:
		return abi.Errorf(abi.Invalid, "submit", "row %d: slot %d is not open", i, r.Slot)
	case b.inStep[r.Slot]:
		return abi.Errorf(abi.Invalid, "submit", "row %d: slot %d has a row in this step", i, r.Slot)
	case r.Flags&^rowFlags != 0:
		return abi.Errorf(abi.Unsupported, "submit", "row %d: flags = %#x", i, uint32(r.Flags&^rowFlags))
	case r.Draft != 0:
		return abi.Errorf(abi.Unsupported, "submit", "row %d: n_draft = %d", i, r.Draft)
	case r.Tokens == 0 || r.Tokens > limits.MaxTokens:
		return abi.Errorf(abi.Invalid, "submit", "row %d: n_tokens = %d, must be from 1 to %d", i, r.Tokens, limits.MaxTokens)
	case r.Tokens > limits.MaxPositions-s.length:
		return abi.Errorf(abi.Invalid, "submit", "row %d: %d tokens after %d, max_positions = %d", i, r.Tokens, s.length, limits.MaxPositions)
	case r.Flags&abi.RowContinue != 0 && !s.sampled:
		return abi.Errorf(abi.Invalid, "submit", "row %d: slot %d has sampled nothing to continue from", i, r.Slot)
	case r.Flags&abi.RowSample == 0 && (r.Flags&(abi.RowLateMask|abi.RowLogits) != 0 || r.MaskID != abi.NoMask):
		return abi.Errorf(abi.Invalid, "submit", "row %d: masks and logits belong to rows that sample", i)
	case r.MaskID != abi.NoMask && b.engine.masks[r.MaskID] == nil:
		return abi.Errorf(abi.Invalid, "submit", "row %d: mask %d is not defined", i, r.MaskID)
	}
	if err := b.checkReport(i, r); err != nil {
		return err
	}
	b.inStep[r.Slot] = true
	for index := range (s.length + r.Tokens + abi.PageLen - 1) / abi.PageLen {
		if int(index) >= len(s.pages) || s.pages[index] == noPage {
			return abi.Errorf(abi.Invalid, "submit", "row %d: slot %d has no page %d", i, r.Slot, index)
		}
	}
	return nil
}

// checkReport checks what a row reports beside a sampled token.
func (b *booking) checkReport(i int, r abi.Row) error {
	switch {
	case r.Flags&abi.RowPromptLogprobs != 0 && (r.Next < -1 || r.Next >= int32(b.engine.plan.VocabSize)):
		return abi.Errorf(abi.Invalid, "submit", "row %d: next = %d, the vocabulary has %d; -1 is none", i, r.Next, b.engine.plan.VocabSize)
	case r.Flags&abi.RowPoolSum != 0 && r.Flags&abi.RowPool == 0:
		return abi.Errorf(abi.Invalid, "submit", "row %d: a sum belongs to a row that pools", i)
	case r.Flags&abi.RowPool != 0 && r.Flags&abi.RowSample != 0:
		return abi.Errorf(abi.Invalid, "submit", "row %d: a row that pools does not sample", i)
	case r.Flags&(abi.RowPool|abi.RowPromptLogprobs) != 0 && b.engine.headAt == len(b.engine.plan.Ops):
		return abi.Errorf(abi.Unsupported, "submit", "row %d: the plan has no head", i)
	}
	return nil
}

// Sample gives late rows of a submitted step their masks; the step ends once every
// late row has one.
func (e *Engine) Sample(seq uint64, masks []abi.RowMask) error {
	j := e.find(seq)
	if j == nil {
		return abi.Errorf(abi.Invalid, "sample", "step %d is not in flight", seq)
	}
	for _, m := range masks {
		switch {
		case int(m.Row) >= len(j.rows) || !j.rows[m.Row].late:
			return abi.Errorf(abi.Invalid, "sample", "row %d of step %d waits for no mask", m.Row, seq)
		case m.MaskID != abi.NoMask && e.masks[m.MaskID] == nil:
			return abi.Errorf(abi.Invalid, "sample", "row %d: mask %d is not defined", m.Row, m.MaskID)
		}
	}
	for _, m := range masks {
		row := &j.rows[m.Row]
		if row.late {
			row.late = false
			row.mask = e.masks[m.MaskID]
			j.late--
		}
	}
	if j.late == 0 && len(masks) > 0 {
		close(j.masks)
	}
	return nil
}

// find is the job of a step in flight.
func (e *Engine) find(seq uint64) *job {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, j := range e.queue {
		if j.seq == seq {
			return j
		}
	}
	return nil
}
