package probe

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/nanofleet/nanofleet/wire"
)

// Probe reads the devices of one kind. It is safe for concurrent use.
type Probe interface {
	// Kind of the devices, as in wire.Device.
	Kind() string
	// Devices describes what is there; none is no error. Everything but the free
	// memory stays the same while the host runs.
	Devices() ([]*wire.Device, error)
	// Free is the memory of a device that engines could take now, in bytes.
	Free(device string) (uint64, error)
	// Health is nil while the device works.
	Health(device string) error
	// Close lets go of the driver.
	Close() error
}

// ErrNoDevice is returned for a device that the probe does not have.
var ErrNoDevice = errors.New("probe: no such device")

// Providers are the probes of this build, in the order in which their devices are
// shown. A further kind of device is one more line here.
func Providers() []Probe {
	return []Probe{NewCPU("/"), NewCUDA()}
}

// Host is all devices of the host.
type Host struct {
	probes []Probe
	log    *slog.Logger
	kinds  map[string]Probe // by device
	fixed  []*wire.Device   // as found when the host was opened
}

// Open looks for devices once. A probe that fails is logged and has none.
func Open(probes []Probe, log *slog.Logger) *Host {
	h := &Host{probes: probes, log: log, kinds: map[string]Probe{}}
	for _, p := range probes {
		found, err := p.Devices()
		if err != nil {
			log.Error("cannot read devices", "kind", p.Kind(), "error", err)
			continue
		}
		for _, d := range found {
			h.kinds[d.GetId()] = p
			h.fixed = append(h.fixed, d)
		}
	}
	return h
}

// Devices describes the host as it is now. A device that does not work has no free
// memory.
func (h *Host) Devices() []*wire.Device {
	out := make([]*wire.Device, len(h.fixed))
	for n, d := range h.fixed {
		out[n] = &wire.Device{
			Id: d.GetId(), Kind: d.GetKind(), Name: d.GetName(), Cores: d.GetCores(),
			MemoryTotal: d.GetMemoryTotal(), MemoryFree: h.free(d),
		}
	}
	return out
}

func (h *Host) free(d *wire.Device) uint64 {
	p := h.kinds[d.GetId()]
	if err := p.Health(d.GetId()); err != nil {
		h.log.Error("a device does not work", "device", d.GetId(), "error", err)
		return 0
	}
	free, err := p.Free(d.GetId())
	if err != nil {
		h.log.Warn("cannot read free memory", "device", d.GetId(), "error", err)
		return 0
	}
	return min(free, d.GetMemoryTotal())
}

// Close closes the probes.
func (h *Host) Close() error {
	var errs []error
	for _, p := range h.probes {
		if err := p.Close(); err != nil {
			errs = append(errs, fmt.Errorf("probe: close %s: %w", p.Kind(), err))
		}
	}
	return errors.Join(errs...)
}
