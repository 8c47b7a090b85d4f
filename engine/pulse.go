package engine

import (
	"sync/atomic"
	"time"
)

// pulse tells others how long the loop has not come round.
type pulse struct{ since atomic.Int64 } // nanoseconds of Unix time; 0 = the loop sleeps

func (p *pulse) beat(now time.Time) { p.since.Store(now.UnixNano()) }
func (p *pulse) rest()              { p.since.Store(0) }

// Still is how long the loop has been at one step or one turn: while there is work, what
// the longest step takes bounds it. 0 while there is none.
func (e *Engine) Still() time.Duration {
	since := e.pulse.since.Load()
	if since == 0 {
		return 0
	}
	return e.cfg.Now().Sub(time.Unix(0, since))
}
