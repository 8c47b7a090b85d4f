package kv

// Pool lends pages 0 to Len()-1. A page is free, held by one or more sequences, or
// cached: held by nobody, but published and not yet taken for something else.
type Pool struct {
	pages  []page
	free   []uint32
	index  map[Hash]uint32
	oldest uint32 // of the cached pages, in order of their last release
	newest uint32
	cached int
}

// page is the state of one page.
type page struct {
	holders   int
	hash      Hash
	published bool
	older     uint32 // neighbours among the cached pages
	newer     uint32
}

// none ends the list of cached pages.
const none = ^uint32(0)

// NewPool makes a pool of n free pages.
func NewPool(n int) *Pool {
	p := &Pool{pages: make([]page, n), free: make([]uint32, n), index: map[Hash]uint32{}, oldest: none, newest: none}
	for i := range p.free {
		p.free[i] = uint32(n - 1 - i) // so that low numbers are lent first
	}
	return p
}

// Len is how many pages there are.
func (p *Pool) Len() int { return len(p.pages) }

// Cached is how many pages hold prefixes that nobody uses now.
func (p *Pool) Cached() int { return p.cached }

// Available is how many pages Take can lend.
func (p *Pool) Available() int { return len(p.free) + p.cached }

// Used is how many pages sequences hold.
func (p *Pool) Used() int { return len(p.pages) - p.Available() }

// Take lends a page with one holder: a free one, else the cached one that was released
// longest ago. False when every page is held.
func (p *Pool) Take() (uint32, bool) {
	if n := len(p.free); n > 0 {
		id := p.free[n-1]
		p.free = p.free[:n-1]
		p.pages[id].holders = 1
		return id, true
	}
	if p.oldest == none {
		return 0, false
	}
	id := p.oldest
	p.unlink(id)
	p.forget(id)
	p.pages[id].holders = 1
	return id, true
}

// Find lends the pages of the longest prefix that is there; each gets one more holder.
func (p *Pool) Find(chain []Hash) []uint32 {
	var found []uint32
	for _, h := range chain {
		id, ok := p.index[h]
		if !ok {
			break
		}
		if p.pages[id].holders == 0 {
			p.unlink(id)
		}
		p.pages[id].holders++
		found = append(found, id)
	}
	return found
}

// Publish makes a full page findable. Where another page has the same prefix already,
// the first one stays the one that is found.
func (p *Pool) Publish(id uint32, h Hash) {
	if _, known := p.index[h]; known || p.pages[id].published {
		return
	}
	p.index[h] = id
	p.pages[id].hash, p.pages[id].published = h, true
}

// Release gives up one hold on a page. The last one makes a published page cached and
// any other free.
func (p *Pool) Release(id uint32) {
	pg := &p.pages[id]
	if pg.holders--; pg.holders > 0 {
		return
	}
	if pg.published {
		p.link(id)
	} else {
		p.free = append(p.free, id)
	}
}

// ReleaseAll gives up a sequence's pages, the last one first: of a prefix, the end is
// taken for something else before its beginning.
func (p *Pool) ReleaseAll(ids []uint32) {
	for i := len(ids) - 1; i >= 0; i-- {
		p.Release(ids[i])
	}
}

func (p *Pool) forget(id uint32) {
	delete(p.index, p.pages[id].hash)
	p.pages[id].published = false
}

// link makes a page the newest of the cached ones.
func (p *Pool) link(id uint32) {
	pg := &p.pages[id]
	pg.older, pg.newer = p.newest, none
	if p.newest == none {
		p.oldest = id
	} else {
		p.pages[p.newest].newer = id
	}
	p.newest = id
	p.cached++
}

func (p *Pool) unlink(id uint32) {
	pg := &p.pages[id]
	if pg.older == none {
		p.oldest = pg.newer
	} else {
		p.pages[pg.older].newer = pg.newer
	}
	if pg.newer == none {
		p.newest = pg.older
	} else {
		p.pages[pg.newer].older = pg.older
	}
	p.cached--
}
