package probe

import (
	"errors"
	"fmt"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/gpu"
	"github.com/nanofleet/nanofleet/wire"
)

// CUDADevice is the id of the first NVIDIA GPU, the one that engines run on.
const CUDADevice = "cuda0"

// cudaReserve is the memory of a GPU that contexts and code of engines take beside
// what they account for, in bytes.
const cudaReserve = 1 << 30

// CUDA probes the first NVIDIA GPU, where this build makes engines on it.
type CUDA struct {
	available func() error
	describe  func() (abi.ProbeInfo, error)
}

// NewCUDA makes a probe that asks the CUDA library, which holds no device memory.
func NewCUDA() *CUDA { return &CUDA{available: gpu.Available, describe: gpu.Probe} }

var _ Probe = (*CUDA)(nil)

// Kind is "cuda".
func (c *CUDA) Kind() string { return "cuda" }

// Devices is the first GPU, or none where library, driver or GPU are missing. A library
// that does not load, or one of another release, is an error.
func (c *CUDA) Devices() ([]*wire.Device, error) {
	err := c.available()
	var absent *gpu.AbsentError
	if errors.As(err, &absent) || errors.Is(err, abi.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("probe: cuda: %w", err)
	}
	p, err := c.describe()
	if err != nil {
		return nil, fmt.Errorf("probe: cuda: %w", err)
	}
	return []*wire.Device{{
		Id: CUDADevice, Kind: c.Kind(), Name: p.Name, MemoryTotal: lessReserve(p.MemoryTotal), MemoryFree: lessReserve(p.MemoryFree),
	}}, nil
}

func lessReserve(bytes uint64) uint64 { return bytes - min(bytes, cudaReserve) }

// Free is what the driver says is free, less the reserve.
func (c *CUDA) Free(device string) (uint64, error) {
	if device != CUDADevice {
		return 0, fmt.Errorf("%w: %q", ErrNoDevice, device)
	}
	p, err := c.describe()
	return lessReserve(p.MemoryFree), err
}

// Health is nil while the driver describes the GPU.
func (c *CUDA) Health(device string) error {
	_, err := c.Free(device)
	return err
}

// Close has nothing to let go: a loaded library stays for the process's life.
func (c *CUDA) Close() error { return nil }
