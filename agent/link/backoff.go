package link

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff spaces attempts: it doubles from min to max, and each pause is shortened at
// random by up to half, so that the nodes of a fleet do not knock in step.
type backoff struct {
	min, max time.Duration
	last     time.Duration
}

// next gives the pause before the next attempt; r is random in [0, 1).
func (b *backoff) next(r float64) time.Duration {
	b.last = min(max(b.last*2, b.min), b.max)
	return b.last - time.Duration(r*float64(b.last)/2)
}

// reset starts over, after a success.
func (b *backoff) reset() { b.last = 0 }

// pause waits for the next attempt; false when ctx ended.
func (b *backoff) pause(ctx context.Context) bool {
	t := time.NewTimer(b.next(rand.Float64()))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
