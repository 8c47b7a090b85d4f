package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/coordinator"
	"github.com/nanofleet/nanofleet/internal/conf"
	"github.com/nanofleet/nanofleet/internal/obs"
)

func coordinatorCommand() *cobra.Command {
	cfg := coordinator.Config{}
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "Run a coordinator: desired state, routing and the API",
		Example: `  nanofleet coordinator --bootstrap --api 0.0.0.0:8080
  nanofleet coordinator --data /srv/nanofleet --api 0.0.0.0:443 --tls-cert api.crt --tls-key api.key`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := conf.Load(c.LocalFlags(), os.Environ()); err != nil {
				return usageError{err}
			}
			cfg.Version = version
			cfg.Log = obs.Logger(os.Stderr, slog.LevelInfo, "coordinator")
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			return coordinator.Run(c.Context(), cfg)
		},
	}
	f := cmd.Flags()
	conf.AddFlag(f)
	f.StringVar(&cfg.Dir, "data", "/var/lib/nanofleet/coordinator", "directory of its state")
	f.StringVar(&cfg.API, "api", "127.0.0.1:8080", "address of the API; beyond loopback it speaks TLS")
	f.StringVar(&cfg.Fleet, "listen", ":7800", "address for agents and other coordinators, UDP and TCP")
	f.StringVar(&cfg.Metrics, "metrics", "127.0.0.1:7801", "loopback address of /metrics")
	f.BoolVar(&cfg.Bootstrap, "bootstrap", false, "found a new fleet when the directory is empty")
	f.StringVar(&cfg.AdminKeyFile, "admin-key-file", "", "where the first admin key is left (default: in the data directory)")
	f.StringVar(&cfg.CAFile, "ca-file", "", "where the certificate of the fleet's authority is left for clients")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "certificate of the API, PEM")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "key of --tls-cert, PEM")
	return cmd
}
