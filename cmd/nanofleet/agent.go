package main

import (
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/agent"
	"github.com/nanofleet/nanofleet/internal/conf"
	"github.com/nanofleet/nanofleet/internal/obs"
)

func agentCommand() *cobra.Command {
	cfg := agent.Config{}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run an agent: the engines and models of one host",
		Example: `  nanofleet agent --coordinators 10.0.0.5:7800 --token-file join-token
  nanofleet agent --data /srv/nanofleet/agent`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := conf.Load(c.LocalFlags(), os.Environ()); err != nil {
				return usageError{err}
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cfg.Engine = []string{self, "engine"}
			cfg.Version = version
			cfg.Log = obs.Logger(os.Stderr, slog.LevelInfo, "agent")
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			return agent.Run(c.Context(), cfg)
		},
	}
	f := cmd.Flags()
	conf.AddFlag(f)
	f.StringVar(&cfg.DataDir, "data", "/var/lib/nanofleet/agent", "directory of its identity and models")
	f.StringSliceVar(&cfg.Coordinators, "coordinators", nil, "fleet addresses of the coordinators (default: those learnt when it joined)")
	f.StringVar(&cfg.TokenFile, "token-file", "", "file that holds a join token, needed the first time")
	f.DurationVar(&cfg.OrphanTimeout, "orphan-timeout", 10*time.Minute, "how long an engine outlives its agent")
	f.BoolVar(&cfg.StopEngines, "stop-engines", false, "end the engines when the agent is stopped, rather than leave them to the next one")
	return cmd
}
