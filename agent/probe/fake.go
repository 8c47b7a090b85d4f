package probe

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/wire"
)

// Fake is a probe over devices that a test makes up.
type Fake struct {
	kind string

	mu      sync.Mutex
	devices []*wire.Device
	broken  map[string]error
}

// NewFake makes a probe of those devices, all of one kind.
func NewFake(kind string, devices ...*wire.Device) *Fake {
	return &Fake{kind: kind, devices: devices, broken: map[string]error{}}
}

var _ Probe = (*Fake)(nil)

// Break makes a device ill; nil makes it well.
func (f *Fake) Break(device string, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken[device] = why
}

// SetFree changes a device's free memory.
func (f *Fake) SetFree(device string, free uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.devices {
		if d.GetId() == device {
			d.MemoryFree = free
		}
	}
}

// Kind as given.
func (f *Fake) Kind() string { return f.kind }

// Devices as given.
func (f *Fake) Devices() ([]*wire.Device, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*wire.Device
	for _, d := range f.devices {
		out = append(out, proto.CloneOf(d))
	}
	return out, nil
}

// Free as given or set.
func (f *Fake) Free(device string) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.devices {
		if d.GetId() == device {
			return d.GetMemoryFree(), nil
		}
	}
	return 0, fmt.Errorf("%w: %q", ErrNoDevice, device)
}

// Health is what Break said.
func (f *Fake) Health(device string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken[device]
}

// Close has nothing to let go.
func (f *Fake) Close() error { return nil }
