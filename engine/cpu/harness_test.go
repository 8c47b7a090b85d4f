package cpu_test

import (
	"testing"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/golden"
)

var _ engine.Backend = (*cpu.Backend)(nil)

// limits are enough for every golden prompt.
var limits = abi.Limits{MaxSlots: 16, MaxRows: 16, MaxTokens: 256, MaxPositions: 512, Pages: 64, Threads: 2, Invariant: true}

// isas are the instruction sets that this processor has.
func isas(t *testing.T) (out []string) {
	t.Helper()
	for _, isa := range []string{"plain", "avx2", "avx512"} {
		l := limits
		l.ISA = isa
		e, err := cpu.New(l)
		if err != nil {
			t.Logf("%v", err)
			continue
		}
		e.Close()
		out = append(out, isa)
	}
	return out
}

// load puts a model into a finalised engine and holds it to the footprint function.
func load(t testing.TB, path string, limits abi.Limits) (*cpu.Backend, *model.Model) {
	t.Helper()
	return golden.Filled(t, path, limits, "cpu", cpu.New)
}

// loadTensors is load of tensors in memory.
func loadTensors(t testing.TB, m *model.Meta, tensors []*abi.Tensor, limits abi.Limits) *cpu.Backend {
	t.Helper()
	e, err := cpu.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	takes(t, golden.Fill(t, e, &m.Plan, golden.Each(tensors)), m, limits)
	return e
}

// takes holds what an engine reports to the footprint function.
func takes(t testing.TB, got abi.Bytes, m *model.Meta, limits abi.Limits) {
	t.Helper()
	want, err := model.Footprint(m, limits, "cpu")
	if err != nil || got != want {
		t.Errorf("Finalise reports %+v, the footprint is %+v, %v", got, want, err)
	}
}

// smollm2 is the path of the SmolLM2 file.
func smollm2(t testing.TB) string {
	t.Helper()
	path := golden.ModelPath()
	if path == "" {
		t.Skip("the SmolLM2 GGUF is neither in .cache nor named by NANOFLEET_MODEL")
	}
	return path
}
