package server

import (
	"sync"
	"time"
)

// orphan notices that nobody has been connected for a while.
type orphan struct {
	mu      sync.Mutex
	timeout time.Duration
	timer   *time.Timer
	present int
}

// watchOrphan calls alone once nobody was present for timeout; 0 = never.
func watchOrphan(timeout time.Duration, alone func()) *orphan {
	o := &orphan{timeout: timeout}
	if timeout <= 0 {
		return o
	}
	o.timer = time.AfterFunc(timeout, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.present == 0 {
			alone()
		}
	})
	return o
}

// enter says that somebody connected.
func (o *orphan) enter() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.present++
	o.stop()
}

// leave says that one who entered is gone.
func (o *orphan) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.present--; o.present == 0 && o.timer != nil {
		o.timer.Reset(o.timeout)
	}
}

// stop ends the watch.
func (o *orphan) stop() {
	if o.timer != nil {
		o.timer.Stop()
	}
}
