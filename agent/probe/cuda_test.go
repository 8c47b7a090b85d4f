package probe

import (
	"errors"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/gpu"
)

func TestCUDADevices(t *testing.T) {
	unsupported := abi.Errorf(abi.Unsupported, "create", "the NVIDIA driver finds no GPU")
	for _, c := range []struct {
		name      string
		available error
		describe  error
		devices   int
		fails     bool
	}{
		{"works", nil, nil, 1, false},
		{"no library", &gpu.AbsentError{}, nil, 0, false},
		{"no GPU, or create is not honoured", unsupported, nil, 0, false},
		{"broken library", &gpu.LoadError{Path: "x.so"}, nil, 0, true},
		{"library of another release", &gpu.VersionError{Path: "x.so"}, nil, 0, true},
		{"stops answering", nil, errors.New("gone"), 0, true},
	} {
		p := &CUDA{func() error { return c.available }, func() (abi.ProbeInfo, error) {
			return abi.ProbeInfo{Devices: 2, Name: "Test GPU", MemoryTotal: 80 << 30, MemoryFree: 79 << 30}, c.describe
		}}
		found, err := p.Devices()
		if len(found) != c.devices || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v; want %d devices, failure %v", c.name, found, err, c.devices, c.fails)
		}
		if c.devices == 0 {
			continue
		}
		d := found[0]
		if d.GetId() != CUDADevice || d.GetKind() != "cuda" || d.GetName() != "Test GPU" || d.GetMemoryTotal() != 79<<30 || d.GetMemoryFree() != 78<<30 {
			t.Errorf("%s: %v", c.name, d)
		}
	}
}

func TestCUDAHealth(t *testing.T) {
	var broken error
	p := &CUDA{nil, func() (abi.ProbeInfo, error) { return abi.ProbeInfo{MemoryFree: 1 << 20}, broken }}
	if free, err := p.Free(CUDADevice); free != 0 || err != nil || p.Health(CUDADevice) != nil {
		t.Errorf("free %d, %v: less than the reserve is nothing", free, err)
	}
	if _, err := p.Free("cuda1"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("another device: %v", err)
	}
	if broken = errors.New("gone"); !errors.Is(p.Health(CUDADevice), broken) {
		t.Error("a GPU that does not answer is called healthy")
	}
	if p.Kind() != "cuda" || p.Close() != nil {
		t.Error("kind or close")
	}
}

func TestCUDAHere(t *testing.T) {
	found, err := NewCUDA().Devices()
	if err != nil || (gpu.Available() == nil) != (len(found) == 1) {
		t.Errorf("Devices = %v, %v; Available = %v", found, err, gpu.Available())
	}
}
