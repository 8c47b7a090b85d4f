package sample

// Stops finds the first stop string in a text that arrives in pieces. Which one is
// first does not depend on the pieces: the one whose last byte comes earliest, and of
// several that end there the longest. Not for concurrent use.
//
// Text is held back only while it could still become the beginning of a stop string.
// Time is linear: constant for each byte and stop string. Text that comes by Pass is
// too early to stop at: a stop string counts when its last byte comes by Push.
type Stops struct {
	stops   []matcher
	include bool
	held    string // pushed, not emitted: a proper prefix of some stop string
	matched string
	done    bool
}

// NewStops looks for any of stops; empty ones are ignored. With include the stop
// string stays at the text's end.
func NewStops(stops []string, include bool) *Stops {
	s := &Stops{include: include}
	for _, stop := range stops {
		if stop != "" {
			s.stops = append(s.stops, newMatcher(stop))
		}
	}
	return s
}

// Push takes the next piece and returns the text that is now certain. When a stop
// string is complete it is returned too, and done: what follows it is dropped, and
// later pushes give nothing more.
func (s *Stops) Push(text string) (emit, matched string, done bool) {
	if s.done {
		return "", s.matched, true
	}
	all := s.held + text
	for i := len(s.held); i < len(all); i++ {
		if stop := s.step(all[i]); stop != "" {
			return s.end(all[:i+1], stop)
		}
	}
	return s.keep(all), "", false
}

// Pass takes the next piece, in which no stop string may end, and returns the text that
// is now certain: one that begins in it may end in a later one.
func (s *Stops) Pass(text string) (emit string) {
	if s.done {
		return ""
	}
	all := s.held + text
	for i := len(s.held); i < len(all); i++ {
		s.step(all[i])
	}
	return s.keep(all)
}

// keep holds back the end of all that could be the beginning of a stop string.
func (s *Stops) keep(all string) (certain string) {
	n := len(all) - s.hold()
	s.held = all[n:]
	return all[:n]
}

// Flush ends the text and returns what was held back.
func (s *Stops) Flush() string {
	rest := s.held
	s.held = ""
	for i := range s.stops {
		s.stops[i].at = 0
	}
	return rest
}

// step takes one byte and returns the longest stop string that it completes, or "".
func (s *Stops) step(b byte) (longest string) {
	for i := range s.stops {
		if m := &s.stops[i]; m.step(b) && len(m.stop) > len(longest) {
			longest = m.stop
		}
	}
	return longest
}

// end closes the text, which ends with stop.
func (s *Stops) end(text, stop string) (emit, matched string, done bool) {
	s.held, s.matched, s.done = "", stop, true
	if !s.include {
		text = text[:len(text)-len(stop)]
	}
	return text, stop, true
}

// hold is how many of the last bytes are the beginning of a stop string, and no whole one.
func (s *Stops) hold() (n int) {
	for i := range s.stops {
		n = max(n, s.stops[i].begun())
	}
	return n
}

// matcher follows one stop string by the failure function of Knuth, Morris and Pratt.
type matcher struct {
	stop string
	fail []int // fail[i]: longest proper border of stop[:i+1]
	at   int   // bytes of stop that the text ends with
}

func newMatcher(stop string) matcher {
	m := matcher{stop: stop, fail: make([]int, len(stop))}
	for i, k := 1, 0; i < len(stop); i++ {
		for k > 0 && stop[i] != stop[k] {
			k = m.fail[k-1]
		}
		if stop[i] == stop[k] {
			k++
		}
		m.fail[i] = k
	}
	return m
}

// step takes one byte and tells whether it completes the stop string.
func (m *matcher) step(b byte) bool {
	m.at = m.begun()
	for m.at > 0 && m.stop[m.at] != b {
		m.at = m.fail[m.at-1]
	}
	if m.stop[m.at] == b {
		m.at++
	}
	return m.at == len(m.stop)
}

// begun is how many bytes of another stop string the text ends with.
func (m *matcher) begun() int {
	if m.at == len(m.stop) {
		return m.fail[m.at-1]
	}
	return m.at
}
