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
	on map[process]*company
}

// process is one engine process of an instance, by how often it was started again.
type process struct {
	instance string
	restarts uint32
}

// company is the sequences that one engine process has.
type company struct {
	members map[*standing]struct{}
	blamed  map[*standing]struct{} // once the engine has ended
}

// standing is how a sequence stands. Its own goroutine alone changes it, under the lock
// of the suspects, which read that of others.
type standing struct {
	deaths int      // of engines, for which it was blamed, since it was last acquitted
	last   process  // that it was blamed for
	proven bool     // it gained tokens enough since it began, or since it was last blamed
	at     process  // where it is, or was last
	with   *company // nil: it is on no engine
}

// rank orders suspicion: a sequence that has computed well is suspected last, one that
// was suspected before is suspected first.
func (s *standing) rank() int {
	if s.proven {
		return 0
	}
	return 1 + s.deaths
}

// arrive notes that a sequence is about to be sent to an engine.
func (g *suspects) arrive(s *standing, at process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.on[at]
	if c == nil {
		c = &company{members: map[*standing]struct{}{}}
		g.on[at] = c
	}
	c.members[s] = struct{}{}
	s.at, s.with = at, c
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
	if len(s.with.members) == 0 {
		delete(g.on, s.at)
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
	}
	g.part(s)
	if _, v.blamed = c.blamed[s]; !v.blamed || s.last == s.at && s.deaths > 0 {
		return v // a process ends once
	}
	s.proven, s.last = false, s.at
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
