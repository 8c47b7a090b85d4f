package coordinator

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A command of a newer version ends the coordinator with the reason: it must not go on
// with another state than the rest.
func TestUnreadableCommandEndsIt(t *testing.T) {
	c, err := open(config(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.run(ctx) }()
	for !c.ready() {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if verdict, err := c.replica.group.Apply(ctx, []byte{1, 255, 255, 0, 0, '{', '}'}); err != nil || verdict == nil {
		t.Errorf("verdict %v, %v", verdict, err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "upgraded") {
		t.Errorf("it ended with %v", err)
	}
}
