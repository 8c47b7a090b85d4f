package runner

import "time"

// Figures of a meter.
const (
	meterWindow = 5 * time.Second        // that a rate is taken over
	meterStep   = 250 * time.Millisecond // between points that are kept
)

// meter measures how fast a phase goes, over its last seconds.
type meter struct{ points []point }

type point struct {
	at   time.Time
	done uint64
}

// note takes in how far the phase is.
func (m *meter) note(now time.Time, done uint64) {
	n := len(m.points)
	if n > 1 && now.Sub(m.points[n-2].at) < meterStep {
		m.points[n-1] = point{now, done} // the newest is always known
		return
	}
	m.points = append(m.points, point{now, done})
	for len(m.points) > 2 && now.Sub(m.points[1].at) >= meterWindow {
		m.points = m.points[1:]
	}
}

// rate is bytes per second until now; 0 while none can be told.
func (m *meter) rate(now time.Time) float64 {
	if len(m.points) == 0 {
		return 0
	}
	first, last := m.points[0], m.points[len(m.points)-1]
	for _, p := range m.points { // a stall pushes old points out
		if now.Sub(p.at) >= meterWindow && p.at.After(first.at) {
			first = p
		}
	}
	if d := now.Sub(first.at); d >= meterStep && last.done > first.done {
		return float64(last.done-first.done) / d.Seconds()
	}
	return 0
}
