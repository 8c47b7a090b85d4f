package router

import "time"

// Bounds on how long an instance that failed a request is left alone by it.
const (
	shunMin = 50 * time.Millisecond
	shunMax = time.Second
)

// shuns are the instances that one request leaves alone for a while. Each failure of an
// instance doubles its time.
type shuns map[string]shun

type shun struct {
	until time.Time
	last  time.Duration
}

// add leaves an instance alone for at least that long.
func (s shuns) add(instance string, least time.Duration, now time.Time) {
	d := min(max(shunMin, 2*s[instance].last), shunMax)
	d = max(d, least)
	s[instance] = shun{now.Add(d), d}
}

func (s shuns) at(now time.Time) func(string) bool {
	return func(instance string) bool { return now.Before(s[instance].until) }
}

// next is how long until an instance is no longer left alone; shunMax with none.
func (s shuns) next(now time.Time) time.Duration {
	least := shunMax
	for _, x := range s {
		if d := x.until.Sub(now); d > 0 {
			least = min(least, d)
		}
	}
	return least
}
