package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/nanofleet/nanofleet/api"
)

// meter says how far a transfer is, how fast it goes and how long it will take: on one
// line of a terminal, or now and then on a line of a log.
type meter struct {
	w     io.Writer
	line  bool // rewrite one line
	every time.Duration

	mu      sync.Mutex
	phase   string
	began   time.Time
	first   uint64 // was there when the phase began
	last    time.Time
	printed bool
}

// meters makes a meter of standard error and what ends it.
func meters() (api.Progress, func()) {
	m := &meter{w: os.Stderr, every: 10 * time.Second}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		m.line, m.every = true, 200*time.Millisecond
	}
	return func(phase string, done, total uint64) { m.step(time.Now(), phase, done, total) }, m.clear
}

func (m *meter) step(now time.Time, phase string, done, total uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if phase != m.phase {
		m.phase, m.began, m.first, m.last = phase, now, done, now
	}
	if now.Sub(m.last) < m.every {
		return
	}
	m.last = now
	if m.line {
		fmt.Fprintf(m.w, "\r\x1b[K%s", m.say(now, done, total))
	} else {
		fmt.Fprintln(m.w, m.say(now, done, total))
	}
	m.printed = true
}

// say is one line. The rate counts what came since the phase began, not what an earlier
// run had left.
func (m *meter) say(now time.Time, done, total uint64) string {
	share := 100.0
	if total > 0 {
		share = 100 * float64(done) / float64(total)
	}
	s := fmt.Sprintf("%-5s %3.0f%%  %s of %s", m.phase, share, size(done), size(total))
	seconds := now.Sub(m.began).Seconds()
	if done <= m.first || seconds <= 0 {
		return s
	}
	rate := float64(done-m.first) / seconds
	left := time.Duration(float64(total-min(done, total)) / rate * float64(time.Second))
	return fmt.Sprintf("%s  %s/s  %s left", s, size(uint64(rate)), left.Round(time.Second))
}

// clear takes the line away.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.line && m.printed {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.printed = false
	}
}
