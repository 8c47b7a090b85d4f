package probe

import (
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Usable is what the probes themselves announce.
func TestUsable(t *testing.T) {
	const total = 80 << 30
	c := &CUDA{available: func() error { return nil }, describe: func() (abi.ProbeInfo, error) { return abi.ProbeInfo{MemoryTotal: total}, nil }}
	devices, err := c.Devices()
	if err != nil || len(devices) != 1 {
		t.Fatal(devices, err)
	}
	if got, err := Usable("cuda", total); err != nil || got != devices[0].GetMemoryTotal() {
		t.Errorf("cuda: %d, %v; the probe announces %d", got, err, devices[0].GetMemoryTotal())
	}
	if got, err := Usable("cpu", 1000); err != nil || got != 800 {
		t.Errorf("cpu: %d, %v", got, err)
	}
	if _, err := Usable("abacus", 1); err == nil {
		t.Error("an unknown kind is usable")
	}
}
