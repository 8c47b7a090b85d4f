package router

import (
	"fmt"
	"time"
)

// Config of a Router.
type Config struct {
	// Patience is how long a request waits for an instance, from its arrival and again
	// from its last token: long enough for an engine to be started again.
	Patience time.Duration
	// Line is how many requests may wait for one model name.
	Line int
	// Breaks is how many instances may break under one request before it is given up:
	// it may be what breaks them.
	Breaks int
}

// DefaultConfig is what a coordinator uses.
func DefaultConfig() Config { return Config{Patience: 60 * time.Second, Line: 1024, Breaks: 3} }

// Validate names the first field out of bounds.
func (c Config) Validate() error {
	switch {
	case c.Patience <= 0:
		return fmt.Errorf("router: patience is %v, must be above 0", c.Patience)
	case c.Line < 1:
		return fmt.Errorf("router: line is %d, must be at least 1", c.Line)
	case c.Breaks < 0:
		return fmt.Errorf("router: breaks is %d, must be at least 0", c.Breaks)
	}
	return nil
}
