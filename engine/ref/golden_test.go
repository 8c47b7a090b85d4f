package ref_test

import (
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// limits are enough for every golden prompt.
var limits = abi.Limits{MaxSlots: 4, MaxRows: 4, MaxTokens: 256, MaxPositions: 512, Pages: 8, Invariant: true}

// load puts a model into a finalised engine and holds it to the footprint function.
func load(t *testing.T, path string, limits abi.Limits) (*ref.Engine, *model.Model) {
	t.Helper()
	return golden.Filled(t, path, limits, "ref", ref.New)
}

func set(t *testing.T, name string) *golden.Set {
	t.Helper()
	s, err := golden.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSmolLM2 compares with transformers on the same dequantised weights. The whole
// proof (NANOFLEET_PROVE=1) takes 20 prompts and 64 tokens of each.
func TestSmolLM2(t *testing.T) {
	if testing.Short() {
		t.Skip("the tiny model has the same code paths; the race detector makes this one take minutes")
	}
	path := golden.ModelPath()
	if path == "" {
		t.Skip("the SmolLM2 GGUF is neither in .cache nor named by NANOFLEET_MODEL")
	}
	prompts, most := set(t, golden.SmolLM2).Prompts, 64
	if !golden.Prove() {
		prompts, most = []golden.Prompt{prompts[0], prompts[10]}, 8
	}
	e, m := load(t, path, limits)
	driver, same, least := &golden.Driver{Backend: e}, 0, 1.0
	for _, p := range prompts {
		tokens, logits, err := driver.Greedy(p.IDs, most, 256, m.EOS)
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, golden.Cosine(logits, p.Logits[0]))
		if want := p.Greedy[:min(most, len(p.Greedy))]; slices.Equal(tokens, want) {
			same++
		} else {
			t.Logf("%.40q: greedy %v, transformers %v", p.Text, tokens, want)
		}
	}
	t.Logf("%d prompts: least cosine %.7f, greedy text equal on %d", len(prompts), least, same)
	if least < 0.9999 || same < len(prompts)*19/20 {
		t.Errorf("cosine must be at least 0.9999 and %d texts equal", len(prompts)*19/20)
	}
}

// TestTiny compares every position of the tiny model, both as bfloat16 and as Q8_0.
func TestTiny(t *testing.T) {
	for name, path := range map[string]string{golden.Tiny: tiny.Dir(), golden.TinyGGUF: tiny.GGUF()} {
		e, m := load(t, path, limits)
		driver, least := &golden.Driver{Backend: e}, 1.0
		for _, p := range set(t, name).Prompts {
			logits, err := driver.Logits(p.IDs)
			if err != nil {
				t.Fatal(err)
			}
			for i := range logits {
				least = min(least, golden.Cosine(logits[i], p.Logits[i]))
			}
			tokens, _, err := driver.Greedy(p.IDs, 64, 256, m.EOS)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tokens, p.Greedy) {
				t.Errorf("%s %.40q: greedy %v, transformers %v", name, p.Text, tokens, p.Greedy)
			}
		}
		t.Logf("%s: least cosine %.7f", name, least)
		if least < 0.9999 {
			t.Errorf("%s: least cosine %v, must be at least 0.9999", name, least)
		}
	}
}
