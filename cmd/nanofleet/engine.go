package main

import (
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/gpu"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/server"
	"github.com/nanofleet/nanofleet/internal/obs"
)

func engineCommand() *cobra.Command {
	cfg := server.Config{}
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Run an engine: one model instance, started by the agent",
		Long: `Run an engine: one model instance, on a unix socket of its own. Agents start and
end engines; there is no need to do it by hand.`,
		Example: "  nanofleet engine --socket /run/user/1000/engine.sock --orphan-timeout 60s",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need(c, "socket"); err != nil {
				return err
			}
			cfg.Log = obs.Logger(os.Stderr, slog.LevelInfo, "engine")
			cfg.Backends = backends()
			return server.Run(c.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Socket, "socket", "", "unix socket to serve on (required)")
	f.DurationVar(&cfg.OrphanTimeout, "orphan-timeout", 10*time.Minute, "end when no agent has spoken for so long")
	return cmd
}

// backends are what this build can compute with. CUDA is loaded when it is first
// asked for; without its library or a GPU it fails with what is missing.
func backends() map[string]func(abi.Limits) (engine.Backend, error) {
	return map[string]func(abi.Limits) (engine.Backend, error){
		"cuda": func(l abi.Limits) (engine.Backend, error) { return outfit(gpu.New(l)) },
		"cpu":  func(l abi.Limits) (engine.Backend, error) { return outfit(cpu.New(l)) },
		"ref":  func(l abi.Limits) (engine.Backend, error) { return outfit(ref.New(l)) },
	}
}
