package sched

import (
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/kv"
)

// Scheduler holds the sequences of one engine.
type Scheduler struct {
	limits   abi.Limits
	pool     *kv.Pool
	prefixes bool

	queue    Queue
	running  []*Sequence // in the order of service
	free     []uint32    // slots
	closes   []uint32    // slots to close with the next step
	arrivals uint64

	preemptions uint64
}

// New makes a scheduler of empty slots and pages. With prefixes, computed pages are
// kept and found again.
func New(limits abi.Limits, prefixes bool) *Scheduler {
	s := &Scheduler{limits: limits, pool: kv.NewPool(int(limits.Pages)), prefixes: prefixes}
	for slot := limits.MaxSlots; slot > 0; slot-- {
		s.free = append(s.free, slot-1)
	}
	return s
}

// Waiting, Running and Preemptions count sequences; Pool shows the pages.
func (s *Scheduler) Waiting() int        { return s.queue.Len() }
func (s *Scheduler) Running() int        { return len(s.running) }
func (s *Scheduler) Preemptions() uint64 { return s.preemptions }
func (s *Scheduler) Pool() *kv.Pool      { return s.pool }

// Add puts a sequence into the queue.
func (s *Scheduler) Add(seq *Sequence) {
	s.arrivals++
	seq.arrival, seq.state = s.arrivals, waiting
	s.queue.Push(seq)
}

// Remove takes a sequence out, wherever it stands: its pages are free at once and its
// slot closes with the next step.
func (s *Scheduler) Remove(seq *Sequence) {
	switch seq.state {
	case waiting:
		s.queue.Remove(seq)
	case running:
		s.evict(seq)
	}
	seq.state = idle
}

// evict takes a running sequence's slot and pages. Steps that still run may write to
// the pages; whoever gets them next is computed by a later step.
func (s *Scheduler) evict(seq *Sequence) {
	i := slices.Index(s.running, seq)
	s.running = slices.Delete(s.running, i, i+1)
	s.closes = append(s.closes, seq.Slot)
	s.pool.ReleaseAll(seq.pages)
	seq.pages, seq.submitted, seq.published = nil, 0, 0
	seq.epoch++
}

// preempt makes a running sequence wait again, in its old place of the order.
func (s *Scheduler) preempt(seq *Sequence) {
	s.evict(seq)
	seq.state = waiting
	s.queue.Push(seq)
	s.preemptions++
}

// Backlog is how many tokens are known and not computed yet, of all sequences.
func (s *Scheduler) Backlog() (tokens int) {
	for _, seq := range s.running {
		tokens += seq.pending()
	}
	for _, seq := range s.queue.All() {
		tokens += seq.length()
	}
	return tokens
}
