package probe

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/nanofleet/nanofleet/wire"
)

// CPUDevice is the id of the one device that a host's processors and memory make.
const CPUDevice = "cpu"

// usableShare of memory is for engines; the rest is for the system, the agent and
// page tables. In percent.
const usableShare = 80

// CPU probes processors and main memory, within the bounds of this process's cgroup
// and affinity.
type CPU struct {
	root  string // "/", or a tree that looks like it
	cores func(root string) (uint32, error)
}

// NewCPU makes a probe that reads /proc and /sys below root.
func NewCPU(root string) *CPU { return &CPU{root: root, cores: usableCores} }

var _ Probe = (*CPU)(nil)

// Kind is "cpu".
func (c *CPU) Kind() string { return "cpu" }

// Devices is one device.
func (c *CPU) Devices() ([]*wire.Device, error) {
	m, err := readMemory(c.root)
	if err != nil {
		return nil, err
	}
	cores, err := c.cores(c.root)
	if err != nil {
		return nil, err
	}
	return []*wire.Device{{
		Id: CPUDevice, Kind: c.Kind(), Name: cpuName(c.root), Cores: cores,
		MemoryTotal: share(m.total), MemoryFree: min(m.free, share(m.total)),
	}}, nil
}

// share is what engines may use of a host's memory.
func share(total uint64) uint64 { return total / 100 * usableShare }

// Free is the memory that can be had without swapping.
func (c *CPU) Free(device string) (uint64, error) {
	if device != CPUDevice {
		return 0, fmt.Errorf("%w: %q", ErrNoDevice, device)
	}
	m, err := readMemory(c.root)
	return m.free, err
}

// Health of a processor that runs this very code is good.
func (c *CPU) Health(device string) error {
	if device != CPUDevice {
		return fmt.Errorf("%w: %q", ErrNoDevice, device)
	}
	return nil
}

// Close has nothing to let go.
func (c *CPU) Close() error { return nil }

// cpuName is the processor's own name; where the kernel tells none, the architecture.
func cpuName(root string) string {
	info, err := readCPUInfo(root)
	if err != nil || len(info) == 0 || strings.TrimSpace(info[0]["model name"]) == "" {
		return runtime.GOARCH
	}
	return strings.TrimSpace(info[0]["model name"])
}
