package cpu_test

import (
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestSmolLM2 compares each instruction set with transformers on the dequantised
// weights. The whole proof (NANOFLEET_PROVE=1) takes 20 prompts and 64 tokens of each.
func TestSmolLM2(t *testing.T) {
	path := smollm2(t)
	set, err := golden.Load(golden.SmolLM2)
	if err != nil {
		t.Fatal(err)
	}
	prompts, most := set.Prompts, 64
	if !golden.Prove() {
		prompts, most = []golden.Prompt{prompts[0], prompts[10]}, 16
	}
	for _, isa := range isas(t) {
		l := limits
		l.ISA = isa
		e, m := load(t, path, l)
		driver, same, least := &golden.Driver{Backend: e}, 0, 1.0
		for _, p := range prompts {
			tokens, logits, err := driver.Greedy(p.IDs, most, 256, m.EOS)
			if err != nil {
				t.Fatal(err)
			}
			least = min(least, golden.Cosine(logits, p.Logits[0]))
			if want := p.Greedy[:min(most, len(p.Greedy))]; slices.Equal(tokens, want) {
				same++
			}
		}
		t.Logf("%s: %d prompts: least cosine %.7f, greedy text equal on %d", isa, len(prompts), least, same)
		if least < 0.999 {
			t.Errorf("%s: least cosine %v, must be at least 0.999", isa, least)
		}
	}
}

// TestTiny compares every position of the tiny model with transformers, as bfloat16 and
// as Q8_0, and the greedy texts.
func TestTiny(t *testing.T) {
	for name, path := range map[string]string{golden.Tiny: tiny.Dir(), golden.TinyGGUF: tiny.GGUF()} {
		set, err := golden.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, isa := range isas(t) {
			l := limits
			l.ISA = isa
			e, m := load(t, path, l)
			driver, least := &golden.Driver{Backend: e}, 1.0
			for _, p := range set.Prompts {
				logits, err := driver.Logits(p.IDs)
				if err != nil {
					t.Fatal(err)
				}
				for i := range logits {
					least = min(least, golden.Cosine(logits[i], p.Logits[i]))
				}
				tokens, _, err := driver.Greedy(p.IDs, 64, 7, m.EOS)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(tokens, p.Greedy) {
					t.Errorf("%s %s %.40q: greedy %v, transformers %v", name, isa, p.Text, tokens, p.Greedy)
				}
			}
			t.Logf("%s %s: least cosine %.7f", name, isa, least)
			if least < 0.9999 {
				t.Errorf("%s %s: least cosine %v, must be at least 0.9999", name, isa, least)
			}
		}
	}
}
