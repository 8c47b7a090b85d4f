package router

import (
	"slices"
	"sync"
)

// lines are the queues of requests that found no room, one for each model name.
// Whoever is first in a line may take what becomes free; nobody overtakes but by
// priority, and never whoever is first.
type lines struct {
	max int // places in one line

	mu sync.Mutex
	by map[string][]*place
}

// place is one request's place in a line.
type place struct {
	key      string
	priority int32
	first    chan struct{} // closed once it is first
}

func newLines(max int) *lines { return &lines{max: max, by: map[string][]*place{}} }

// lineKey names a project's line for a model; names hold no zero byte.
func lineKey(project, model string) string { return project + "\x00" + model }

// length is how many wait in a line.
func (l *lines) length(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.by[key])
}

// join takes a place, or reports that the line is full.
func (l *lines) join(key string, priority int32) (*place, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.by[key]
	if len(line) >= l.max {
		return nil, false
	}
	p := &place{key: key, priority: priority, first: make(chan struct{})}
	at := len(line)
	for at > 1 && line[at-1].priority > priority {
		at--
	}
	if at == 0 {
		close(p.first)
	}
	l.by[key] = slices.Insert(line, at, p)
	return p, true
}

// leave gives the place up and lets the next one be first.
func (l *lines) leave(p *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.by[p.key]
	at := slices.Index(line, p)
	line = slices.Delete(line, at, at+1)
	if len(line) == 0 {
		delete(l.by, p.key)
		return
	}
	l.by[p.key] = line
	if at == 0 {
		close(line[0].first)
	}
}

// isFirst tells whether it is the place's turn.
func (p *place) isFirst() bool {
	select {
	case <-p.first:
		return true
	default:
		return false
	}
}
