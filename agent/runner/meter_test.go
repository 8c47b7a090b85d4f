package runner

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMeter(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	var m meter
	if got := m.rate(at(1)); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	m.note(at(0), 0)
	m.note(at(0.1), 100)
	if got := m.rate(at(0.1)); got != 0 {
		t.Errorf("after a tenth of a second: %v", got)
	}
	for i := 1; i <= 100; i++ { // 1000 a second, then 100 a second
		s, done := float64(i)/10, uint64(100*i)
		if i > 50 {
			done = 5000 + uint64(10*(i-50))
		}
		m.note(at(s), done)
	}
	if got := m.rate(at(10)); math.Abs(got-100) > 20 {
		t.Errorf("the last seconds went at 100, not %v", got)
	}
	if got := m.rate(at(12)); got > 90 || got < 20 {
		t.Errorf("two seconds of silence leave %v", got)
	}
	if got := m.rate(at(30)); got != 0 {
		t.Errorf("twenty seconds of silence leave %v", got)
	}
}

// A steady phase is measured at its rate, however often it tells.
func TestMeterIsExactWhenSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1e3, 1e10).Draw(t, "rate")
		step := time.Duration(rapid.IntRange(1, 1500).Draw(t, "step")) * time.Millisecond
		var m meter
		now := time.Unix(0, 0)
		for range 200 {
			m.note(now, uint64(rate*now.Sub(time.Unix(0, 0)).Seconds()))
			now = now.Add(step)
		}
		now = now.Add(-step)
		if now.Sub(time.Unix(0, 0)) < time.Second {
			return // too short to tell
		}
		if got := m.rate(now); math.Abs(got-rate) > rate/100 {
			t.Fatalf("measured %v of %v", got, rate)
		}
		if n := len(m.points); n > 2*int(meterWindow/meterStep)+4 {
			t.Fatalf("%d points are kept", n)
		}
	})
}
