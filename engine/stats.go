package engine

import "time"

// Stats are an engine's figures: totals since New, and how it stands.
type Stats struct {
	Steps                uint64 // rises while there is work
	Running              int    // sequences with a slot
	Waiting              int
	PagesUsed            int // held by sequences
	PagesCached          int // evictable prefixes
	PagesTotal           int
	PromptTokens         uint64 // totals
	CachedTokens         uint64
	GeneratedTokens      uint64
	Preemptions          uint64
	Finished             uint64
	Cancelled            uint64
	Failed               uint64
	PrefillRate          float64 // tokens per second, smoothed
	DecodeRate           float64 // of the whole batch
	QueuedUncachedTokens int
	MemoryPeak           uint64 // bytes
}

// wait guesses how long a place in the queue takes to come free.
func (s *Stats) wait() time.Duration {
	const least, most = time.Second, 30 * time.Second
	if s.PrefillRate <= 0 {
		return least
	}
	d := time.Duration(float64(s.QueuedUncachedTokens) / s.PrefillRate * float64(time.Second))
	return min(max(d, least), most)
}

// meter gathers figures in the loop.
type meter struct {
	steps, prompt, cached, generated uint64
	prefill, decode                  rate
	last                             time.Time // end of the last step
}

// step measures a step that has ended: from the end of the one before, when that was
// after its own submission, since the two were queued.
func (m *meter) step(f *flight, now time.Time) {
	m.steps++
	began := f.began
	if m.last.After(began) {
		began = m.last
	}
	m.last = now
	prompt, decode := 0, 0
	for i := range f.batch.Rows {
		prompt += f.batch.Rows[i].Prompt
		if f.batch.Rows[i].Sample {
			decode++
		}
	}
	if took := now.Sub(began).Seconds(); took > 0 {
		if prompt > 0 {
			m.prefill.add(float64(prompt), took)
		} else {
			m.decode.add(float64(decode), took)
		}
	}
}

// rate is a smoothed ratio of amount and seconds: recent steps weigh most.
type rate struct{ amount, seconds float64 }

func (r *rate) add(amount, seconds float64) {
	const keep = 0.95
	r.amount = r.amount*keep + amount
	r.seconds = r.seconds*keep + seconds
}

func (r *rate) perSecond() float64 {
	if r.seconds == 0 {
		return 0
	}
	return r.amount / r.seconds
}

// publish makes the loop's figures visible.
func (e *Engine) publish() {
	pool := e.sched.Pool()
	backlog := e.sched.Backlog()
	peak := e.cfg.Backend.Stats().MemoryPeak
	e.mu.Lock()
	defer e.mu.Unlock()
	st := &e.stats
	st.Steps, st.PromptTokens, st.CachedTokens, st.GeneratedTokens = e.meter.steps, e.meter.prompt, e.meter.cached, e.meter.generated
	st.Running, st.Waiting = e.sched.Running(), e.sched.Waiting()
	st.PagesUsed, st.PagesCached = pool.Used(), pool.Cached()
	st.Preemptions = e.sched.Preemptions()
	st.PrefillRate, st.DecodeRate = e.meter.prefill.perSecond(), e.meter.decode.perSecond()
	st.QueuedUncachedTokens, st.MemoryPeak = backlog, peak
}

// Stats are the figures as of the last step.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}
