package e2e

import (
	"context"
	"net"
	"strings"
	"time"
)

// awaitAnswering waits until the API port accepts connections again: an app whose
// coordinator was killed sees its port closed and connects anew.
func (f *fleet) awaitAnswering() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addr := strings.TrimPrefix(f.base, "http://")
	for {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			if f.client().WaitReady(ctx, 10*time.Millisecond) == nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			f.t.Fatal("the API does not come back")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
