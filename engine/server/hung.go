package server

import (
	"fmt"
	"time"
)

// How long a step may take, by backend: a GPU takes milliseconds, a processor minutes
// over a long prompt of a large model.
const (
	stepLimitCUDA = 30 * time.Second
	stepLimit     = 10 * time.Minute
)

// hungError ends an engine whose step does not.
type hungError struct{ limit time.Duration }

func (e *hungError) Error() string {
	return fmt.Sprintf("a step has not ended within its limit of %v: the engine hangs", e.limit)
}

// watch ends the engine when a step hangs, from its warm-up on.
func (s *server) watch(i *instance) {
	tick := time.NewTicker(statsEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			if err := i.hung(); err != nil {
				s.ended(err)
				return
			}
		}
	}
}

// hung tells whether the step loop has stood still for longer than a step may take.
func (i *instance) hung() error {
	limit := stepLimit
	if i.ready.GetBackend() == "cuda" {
		limit = stepLimitCUDA
	}
	if s := i.load.GetOptions().GetStepLimitS(); s > 0 {
		limit = time.Duration(s) * time.Second
	}
	if i.Still() > limit {
		return &hungError{limit}
	}
	return nil
}
