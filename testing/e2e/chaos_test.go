package e2e

import "testing"

// TestKillEachProcess kills every process of the fleet, one at a time and all at
// once: the next request answers, with the same model and the same key.
func TestKillEachProcess(t *testing.T) {
	f := up(t)
	q := questions()[0]
	for _, c := range []struct {
		name string
		kill func()
	}{
		{"engine", func() { kill(t, f.engine()) }},
		{"agent", func() { kill(t, f.role("agent")) }},
		{"coordinator", func() { kill(t, f.role("coordinator")) }},
		{"all", func() { kill(t, f.engine(), f.role("agent"), f.role("coordinator")) }},
	} {
		before := f.processes()
		c.kill()
		f.awaitProcess()
		if got := f.ask(q.Question); got != q.Answer {
			t.Errorf("after killing %s: %q, want %q", c.name, got, q.Answer)
		}
		after := f.processes()
		if before["up"] != after["up"] {
			t.Errorf("killing %s ended up itself", c.name)
		}
	}
}
