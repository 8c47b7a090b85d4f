package golden_test

import (
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// limits are enough for the architectures' prompt.
var limits = abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 4, MaxPositions: 64, Pages: 1, Invariant: true, Threads: 1}

// load puts a model into a finalised CPU engine and holds it to the footprint function.
func load(t *testing.T, path string) *cpu.Backend {
	t.Helper()
	e, _ := golden.Filled(t, path, limits, "cpu", cpu.New)
	return e
}

// TestArchitecturesOnCPU compares the CPU backend with transformers on every
// architecture, from both kinds of file, and with float64 on every kind of FP8.
func TestArchitecturesOnCPU(t *testing.T) {
	all, err := golden.Architectures()
	if err != nil {
		t.Fatal(err)
	}
	fp8, err := golden.FP8()
	if err != nil || len(fp8) < 5 {
		t.Fatal(len(fp8), err)
	}
	for _, a := range append(all, fp8...) {
		for _, path := range []string{a.Dir, a.GGUF} {
			if path == "" {
				continue
			}
			logits, err := (&golden.Driver{Backend: load(t, path)}).Logits(a.IDs)
			if err != nil {
				t.Fatal(err)
			}
			least := 1.0
			for i := range logits {
				least = min(least, golden.Cosine(logits[i], a.Logits[i]))
			}
			t.Logf("%s, %s: least cosine %.7f, at most %.2g away", a.Name, a.DType, least, golden.Distance(a.Logits, logits))
			if !(least > 0.9999) {
				t.Errorf("%s: least cosine %v, must be above 0.9999", path, least)
			}
		}
	}
}
