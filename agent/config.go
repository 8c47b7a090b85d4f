package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"
)

// Config of an agent.
type Config struct {
	DataDir       string        // everything it keeps
	Coordinators  []string      // fleet addresses, host:port; empty = those learnt when it joined
	TokenFile     string        // holds a join token; needed until the host has joined
	OrphanTimeout time.Duration // how long an engine outlives its agent; 1 s to 24 h
	StopEngines   bool          // end the engines with the agent, rather than leave them to the next one
	Engine        []string      // program and first arguments of an engine; an absolute path
	Version       string        // of the binary
	Log           *slog.Logger
}

// Bounds of OrphanTimeout.
const (
	orphanTimeoutMin = time.Second
	orphanTimeoutMax = 24 * time.Hour
)

// Validate names the first key out of bounds.
func (c Config) Validate() error {
	if c.DataDir == "" {
		return errors.New("data: empty, must name a directory")
	}
	for _, addr := range c.Coordinators {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" || port == "0" {
			return fmt.Errorf("coordinators: %q, each must be host:port", addr)
		}
	}
	if c.OrphanTimeout < orphanTimeoutMin || c.OrphanTimeout > orphanTimeoutMax {
		return fmt.Errorf("orphan-timeout: %v, must be from %v to %v", c.OrphanTimeout, orphanTimeoutMin, orphanTimeoutMax)
	}
	if len(c.Engine) == 0 || !filepath.IsAbs(c.Engine[0]) {
		return fmt.Errorf("engine: %q, must begin with an absolute path", c.Engine)
	}
	if c.Log == nil {
		return errors.New("log: none, a logger is needed")
	}
	return nil
}
