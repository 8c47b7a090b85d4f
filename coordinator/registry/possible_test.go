package registry

import (
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// Options are refused where no device can meet them, and only there.
func TestPossible(t *testing.T) {
	r := open(t, t.TempDir())
	v := add(t, r, gguf(t))
	small := state.Device{ID: "cpu", Kind: "cpu", Cores: 2, MemoryBytes: 1}
	large := state.Device{ID: "cpu", Kind: "cpu", Cores: 64, MemoryBytes: 1}
	unknown := state.Device{ID: "cpu", Kind: "cpu", MemoryBytes: 1}
	gpu := state.Device{ID: "cuda0", Kind: "cuda", MemoryBytes: 1}
	for _, c := range []struct {
		devices []state.Device
		options state.EngineOptions
		want    string // "" is possible
	}{
		{nil, state.EngineOptions{}, ""},
		{nil, state.EngineOptions{Context: tiny.Context, MaxRunning: 1024}, ""},
		{nil, state.EngineOptions{Context: 99999}, "context: 99999, must be at most 1024"},
		{[]state.Device{small, gpu}, state.EngineOptions{Context: 99999}, "context: 99999, must be at most 1024"},
		{[]state.Device{small}, state.EngineOptions{KVBytes: 1}, "kv_bytes: 1, must be at least"},
		{[]state.Device{small}, state.EngineOptions{Threads: 2}, ""},
		{[]state.Device{small}, state.EngineOptions{Threads: 3}, "threads: 3, must be at most 2, the cores of the device"},
		{[]state.Device{small, large}, state.EngineOptions{Threads: 3}, ""},
		{[]state.Device{unknown}, state.EngineOptions{Threads: 1024}, ""},
		{[]state.Device{small}, state.EngineOptions{Threads: 3, Backend: "ref"}, ""}, // which has one anyway
		{[]state.Device{small}, state.EngineOptions{KVDType: "bf16"}, `kv_dtype: "bf16", backend cpu has only`},
		{[]state.Device{small, gpu}, state.EngineOptions{KVDType: "bf16"}, ""},
		{nil, state.EngineOptions{KVDType: "bf16"}, ""}, // a GPU may join
		{[]state.Device{small}, state.EngineOptions{KVDType: "bf16", Backend: "cuda"}, ""},
		{[]state.Device{small}, state.EngineOptions{KVDType: "f16", Backend: "cuda"}, `kv_dtype: "f16", backend cuda has only`},
		{[]state.Device{gpu}, state.EngineOptions{KVDType: "f16", Backend: "ref"}, `kv_dtype: "f16", backend ref has only f32`},
		{nil, state.EngineOptions{Quant: "int3"}, `quant: "int3", backend cpu has only`},
	} {
		err := r.Possible(v, c.options, c.devices)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v on %+v: %v, want %q", c.options, c.devices, err, c.want)
		}
	}
	if err := r.Possible(state.Version{ID: "v-elsewhere", Files: v.Files[:0]}, state.EngineOptions{Context: 99999}, nil); err != nil {
		t.Errorf("files that are not here: %v", err)
	}
}
