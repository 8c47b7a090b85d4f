package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nanofleet/nanofleet/wire"
)

// clocks measure the sequences of a request.
type clocks struct {
	x          *exchange
	interToken prometheus.Observer
	model      *modelSeries // nil: not wanted
}

func (g *Gateway) clocks(x *exchange, j *job) *clocks {
	x.times.sent = time.Now()
	c := &clocks{x: x, interToken: g.metrics.interToken.WithLabelValues(x.endpoint)}
	if g.aliases != nil {
		c.model = g.aliases.model(j.model.Name)
		c.model.asked(j)
	}
	return c
}

// clock measures one sequence; only its reader uses it.
type clock struct {
	*clocks
	begun, first, last time.Time
	line               time.Duration // until a stream was open
	ended              bool
}

func (c *clocks) start() *clock { return &clock{clocks: c, begun: time.Now()} }

// opened notes that the router has found an instance.
func (c *clock) opened() { c.line = time.Since(c.begun) }

// accepted tells how long an engine was waited for, as it looks from here.
func (c *clock) accepted() time.Duration { return time.Since(c.begun) }

// step counts n tokens that came together.
func (c *clock) step(n int) {
	if n == 0 {
		return
	}
	now := time.Now()
	if c.first.IsZero() {
		c.first = now
		c.model.firstToken(now.Sub(c.x.started))
	} else {
		each := now.Sub(c.last).Seconds() / float64(n)
		for range n {
			c.interToken.Observe(each)
			c.model.nextToken(each)
		}
	}
	c.last = now
}

// finished tells how long the engine was waited for, and that with what it took.
func (c *clock) finished(f *wire.Finished) (queue, all time.Duration) {
	c.ended = true
	queue = c.line + time.Duration(f.GetQueueUs())*time.Microsecond
	c.model.finished(c, f, queue)
	return queue, queue + time.Duration(f.GetPrefillUs()+f.GetDecodeUs())*time.Microsecond
}

// end counts a sequence that did not finish.
func (c *clock) end(err error) {
	if !c.ended {
		c.model.failed(err)
	}
}

// times are those of a request, as its answer's headers tell them. Only its writer
// uses them.
type times struct {
	sent   time.Time     // when the sequences were sent on their way
	seen   time.Duration // the longest wait for an engine so far, as it looks from here
	queue  time.Duration // the same, as engines tell when they have finished
	engine time.Duration // the longest of wait and work; 0 while any runs
	met    bool          // some engine accepted
}

// take notes what a sequence's news say.
func (t *times) take(p *part) {
	if p.finished != nil {
		t.met, t.queue, t.engine = true, max(t.queue, p.queue), max(t.engine, p.engine)
	} else if p.accepted != nil {
		t.met, t.seen = true, max(t.seen, p.queue)
	}
}

// waited is how long engines were waited for.
func (t *times) waited(now time.Time) time.Duration {
	switch {
	case !t.met:
		return now.Sub(t.sent)
	case t.engine > 0:
		return t.queue
	}
	return t.seen
}

// overhead is what we took ourselves: all but the engines' time, or, at the beginning
// of a stream, what came before them.
func (t *times) overhead(began, now time.Time) time.Duration {
	if t.engine == 0 {
		return t.sent.Sub(began)
	}
	return max(now.Sub(began)-t.engine, 0)
}
