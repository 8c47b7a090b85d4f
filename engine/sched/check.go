package sched

import (
	"fmt"
	"slices"
)

// Check names every invariant that does not hold.
func (s *Scheduler) Check() (broken []error) {
	fail := func(format string, args ...any) { broken = append(broken, fmt.Errorf("sched: "+format, args...)) }
	slots := map[uint32]string{}
	claim := func(slot uint32, who string) {
		if was, taken := slots[slot]; taken {
			fail("slot %d is %s and %s", slot, was, who)
		}
		slots[slot] = who
	}
	for _, slot := range s.free {
		claim(slot, "free")
	}
	for _, slot := range s.closes {
		claim(slot, "to be closed")
	}
	holders := map[uint32]int{}
	for _, seq := range s.running {
		claim(seq.Slot, "running")
		if seq.state != running || seq.submitted > seq.length() || len(seq.pages) < pagesFor(seq.submitted) {
			fail("slot %d: state %d, %d of %d tokens on %d pages", seq.Slot, seq.state, seq.submitted, seq.length(), len(seq.pages))
		}
		for _, page := range seq.pages {
			holders[page]++
		}
	}
	if len(slots) != int(s.limits.MaxSlots) {
		fail("%d slots, limits say %d", len(slots), s.limits.MaxSlots)
	}
	if !slices.IsSortedFunc(s.running, func(a, b *Sequence) int {
		if before(a, b) {
			return -1
		}
		return 1
	}) {
		fail("running sequences are out of order")
	}
	for _, seq := range s.queue.All() {
		if seq.state != waiting || len(seq.pages) > 0 {
			fail("a waiting sequence has state %d and %d pages", seq.state, len(seq.pages))
		}
	}
	return append(broken, s.pool.Check(holders)...)
}

// Room tells whether a sequence of so many tokens can ever run here.
func (s *Scheduler) Room(tokens int) bool {
	return tokens <= int(s.limits.MaxPositions) && pagesFor(tokens) <= int(s.limits.Pages)
}
