package kv

import "fmt"

// Check names every invariant that does not hold. holders says how many sequences hold
// each page, as the sequences have it.
func (p *Pool) Check(holders map[uint32]int) (broken []error) {
	fail := func(format string, args ...any) { broken = append(broken, fmt.Errorf("kv: "+format, args...)) }
	free := map[uint32]bool{}
	for _, id := range p.free {
		if free[id] || p.pages[id].holders != 0 || p.pages[id].published {
			fail("page %d is free twice, held or published", id)
		}
		free[id] = true
	}
	cached := map[uint32]bool{}
	for id, last := p.oldest, uint32(none); id != none; last, id = id, p.pages[id].newer {
		if pg := p.pages[id]; cached[id] || pg.older != last || pg.holders != 0 || !pg.published {
			fail("page %d is out of place among the cached ones", id)
			break
		}
		cached[id] = true
	}
	if len(cached) != p.cached {
		fail("%d pages are cached, the count says %d", len(cached), p.cached)
	}
	for id := range p.pages {
		id := uint32(id)
		pg := p.pages[id]
		if pg.holders != holders[id] {
			fail("page %d has %d holders, %d sequences hold it", id, pg.holders, holders[id])
		}
		if pg.holders == 0 && !free[id] && !cached[id] {
			fail("page %d is lost", id)
		}
		if at, found := p.index[pg.hash]; pg.published && (!found || at != id) {
			fail("page %d is published and not found", id)
		}
	}
	for h, id := range p.index {
		if !p.pages[id].published || p.pages[id].hash != h {
			fail("page %d is found under a hash that is not its own", id)
		}
	}
	return broken
}
