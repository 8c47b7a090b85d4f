package gateway

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// crowd counts the requests that each key has under way.
type crowd struct {
	most int // for one key; 0: any number

	mu      sync.Mutex
	present map[string]int
}

// enter admits one more request of a key, until leave is called.
func (c *crowd) enter(key string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.present[key] >= c.most {
		return nil, &Error{
			Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded", RetryAfter: time.Second,
			Message: fmt.Sprintf("%d requests of this key are under way. Expected at most %d at once; wait for one of them to end.", c.present[key], c.most),
		}
	}
	c.present[key]++
	return func() { c.leave(key) }, nil
}

func (c *crowd) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present[key]--; c.present[key] == 0 {
		delete(c.present, key)
	}
}
