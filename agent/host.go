package agent

import (
	"context"

	"github.com/nanofleet/nanofleet/agent/link"
	"github.com/nanofleet/nanofleet/agent/probe"
	"github.com/nanofleet/nanofleet/agent/runner"
	"github.com/nanofleet/nanofleet/agent/serve"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// host is the agent as coordinators see it.
type host struct {
	*runner.Runner // Apply and Changed
	models         *models
	devices        *probe.Host
	serve          *serve.Server
}

var _ link.Host = (*host)(nil)

// Devices of the host now.
func (h *host) Devices() []*wire.Device { return h.devices.Devices() }

// Telemetry of the host now.
func (h *host) Telemetry() *wire.Telemetry {
	used, free := h.models.Usage()
	return &wire.Telemetry{
		Instances:  h.Statuses(),
		Devices:    h.devices.Devices(),
		StoreBytes: used,
		StoreFree:  free,
	}
}

// Generate carries one request.
func (h *host) Generate(ctx context.Context, st *transport.Stream, header *wire.StreamHeader) {
	h.serve.Generate(ctx, st, header)
}
