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
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	e, err := cpu.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.Plan(&m.Plan); err != nil {
		t.Fatal(err)
	}
	for tensor, err := range m.Tensors() {
		if err != nil {
			t.Fatal(err)
		}
		if err := e.PutTensor(tensor); err != nil {
			t.Fatal(err)
		}
	}
	finalise(t, e, &m.Meta, limits)
	return e, m
}

// loadTensors is load of tensors in memory.
func loadTensors(t testing.TB, m *model.Meta, tensors []*abi.Tensor, limits abi.Limits) *cpu.Backend {
	t.Helper()
	e, err := cpu.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.Plan(&m.Plan); err != nil {
		t.Fatal(err)
	}
	for _, tensor := range tensors {
		if err := e.PutTensor(tensor); err != nil {
			t.Fatal(err)
		}
	}
	finalise(t, e, m, limits)
	return e
}

// finalise holds what an engine reports to the footprint function.
func finalise(t testing.TB, e *cpu.Backend, m *model.Meta, limits abi.Limits) {
	t.Helper()
	got, err := e.Finalise()
	if err != nil {
		t.Fatal(err)
	}
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
