package sched

import "github.com/nanofleet/nanofleet/engine/abi"

// Batch is one planned step. Its memory is used again by the next Plan into it.
type Batch struct {
	Step  abi.Step    // all but Seq
	Rows  []Row       // beside Step.Rows
	Opens []*Sequence // to be opened in their slots before the step is submitted
}

// Row says whose row it is and how far it takes the sequence.
type Row struct {
	Sequence *Sequence
	Start    int  // position of its first token
	End      int  // positions computed once the step has run
	Sample   bool // a token is sampled after the last
	Prompt   int  // tokens of the row that are not a single sampled one
	epoch    uint64
}

func (b *Batch) reset() {
	s := &b.Step
	s.Rows, s.Tokens, s.Pages, s.Copies, s.Closes = s.Rows[:0], s.Tokens[:0], s.Pages[:0], s.Copies[:0], s.Closes[:0]
	clear(b.Rows)
	clear(b.Opens)
	b.Rows, b.Opens = b.Rows[:0], b.Opens[:0]
}

// Empty tells whether the step would do nothing.
func (b *Batch) Empty() bool { return len(b.Step.Rows) == 0 && len(b.Step.Closes) == 0 }
