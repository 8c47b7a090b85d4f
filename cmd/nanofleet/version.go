package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/wire"
)

// version is set by the linker in releases.
var version = "0.1.0-dev"

type versionInfo struct {
	Version    string `json:"version"`
	Revision   string `json:"revision,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	Capability int    `json:"wire_capability"`
	ABI        int    `json:"step_abi"`
}

func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  nanofleet version
  nanofleet version --json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			v := versionInfo{
				Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
				Capability: wire.Capability, ABI: abi.Version,
			}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Revision = s.Value
					}
				}
			}
			return o.print(c.OutOrStdout(), v, func(w io.Writer) {
				fmt.Fprintf(w, "nanofleet %s (%s, %s), wire capability %d, step ABI %d\n", v.Version, v.Go, v.Platform, v.Capability, v.ABI)
			})
		},
	}
}
