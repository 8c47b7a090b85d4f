package router

import "sync"

// provenTokens is how many tokens beyond the point where it was suspected a sequence
// must gain to be acquitted. What a dying engine had computed and not yet told is less:
// two steps.
const provenTokens = 8

// sentence is how many ends of an engine without an acquittal between them make a
// sequence poison, if it was the only suspect of the last.
const sentence = 2

// suspects finds out which sequence an engine ended over. It knows who was on an engine
// when it ended, and who of them had done well before.
type suspects struct {
	mu sync.Mutex
	on map[string]*company // by instance
}

// company is the sequences that one run of an engine has.
type company struct {
	members map[*standing]struct{}
	blamed  map[*standing]struct{} // once the engine has ended
}

// standing is how a sequence stands. Its own goroutine alone changes it, under the lock
// of the suspects, which read that of others.
type standing struct {
	deaths   int  // of engines, for which it was blamed, since it was last acquitted
	proven   bool // it gained tokens enough since it began, or since it was last blamed
	instance string
	with     *company // nil: it is on no engine
}

// rank orders suspicion: a sequence that has computed well is suspected last, one that
// was suspected before is suspected first.
func (s *standing) rank() int {
	if s.proven {
		return 0
	}
	return 1 + s.deaths
}

// arrive notes that a sequence is on an instance.
func (g *suspects) arrive(s *standing, instance string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.on[instance]
	if c == nil {
		c = &company{members: map[*standing]struct{}{}}
		g.on[instance] = c
	}
	c.members[s] = struct{}{}
	s.instance, s.with = instance, c
}

// leave notes that a sequence is not there any more. How it left says nothing.
func (g *suspects) leave(s *standing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.part(s)
}

func (g *suspects) part(s *standing) {
	if s.with == nil {
		return
	}
	delete(s.with.members, s)
	if len(s.with.members) == 0 && g.on[s.instance] == s.with {
		delete(g.on, s.instance)
	}
	s.with = nil
}

// acquit notes that a sequence has got past where it was suspected.
func (g *suspects) acquit(s *standing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.proven, s.deaths = true, 0
}

// verdict is what the end of an engine means for a sequence that was on it.
type verdict struct {
	blamed bool // it may be the cause
	alone  bool // and nobody else may
	poison bool // and it was before
}

// died judges a sequence whose engine ended. The first of a company to tell of the end
// has all of it judged, as it stood then.
func (g *suspects) died(s *standing) (v verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := s.with
	if c == nil {
		return v
	}
	if c.blamed == nil {
		c.judge()
		if g.on[s.instance] == c {
			delete(g.on, s.instance) // who comes now meets the next run of it
		}
	}
	g.part(s)
	if _, v.blamed = c.blamed[s]; !v.blamed {
		return v
	}
	s.proven = false
	s.deaths++
	v.alone = len(c.blamed) == 1
	v.poison = v.alone && s.deaths >= sentence
	return v
}

// judge blames those of the highest rank.
func (c *company) judge() {
	highest := 0
	for s := range c.members {
		highest = max(highest, s.rank())
	}
	c.blamed = map[*standing]struct{}{}
	for s := range c.members {
		if s.rank() == highest {
			c.blamed[s] = struct{}{}
		}
	}
}
