package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/internal/svc"
)

func downCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the fleet that `up` runs on this host",
		Long: `Stop the fleet that ` + "`up`" + ` runs on this host: engines, agent and coordinator, and
whatever a crash has left of them. Its state stays in --data for the next ` + "`up`" + `.`,
		Example: `  nanofleet down
  nanofleet down --data /srv/nanofleet`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			stopped, err := stopAll(o.data)
			if err != nil {
				return err
			}
			if stopped == 0 {
				fmt.Fprintf(c.OutOrStdout(), "no fleet runs from %s\n", o.data)
				return nil
			}
			fmt.Fprintln(c.OutOrStdout(), "stopped")
			return nil
		},
	}
}

// stopAll ends `up`, which ends its children in order; then whatever a crash of
// `up` may have left: roles and engines that are still named by a pid file.
func stopAll(data string) (stopped int, err error) {
	files := []string{filepath.Join(data, upPID)}
	for _, pattern := range []string{"run/agent.pid", "run/coordinator.pid", "agent/run/*.pid"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			return stopped, err
		}
		files = append(files, found...)
	}
	for _, file := range files {
		p, err := svc.ReadPID(file)
		if errors.Is(err, svc.ErrNotRunning) {
			continue
		}
		if err != nil {
			return stopped, err
		}
		if err := p.Stop(30 * time.Second); err != nil && !errors.Is(err, svc.ErrNotRunning) {
			return stopped, err
		}
		stopped++
	}
	return stopped, nil
}
