package cpu_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/tokenizer"
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

// TestTiny asks the tiny model what it knows by heart, as bfloat16 and as Q8_0.
func TestTiny(t *testing.T) {
	for _, path := range []string{tiny.Dir(), tiny.GGUF()} {
		for _, isa := range isas(t) {
			l := limits
			l.ISA = isa
			e, m := load(t, path, l)
			driver := &golden.Driver{Backend: e}
			for _, c := range tiny.Ask().Completions {
				ids := m.Tokenizer.Encode(c.Prompt, tokenizer.EncodeOptions{})
				tokens, _, err := driver.Greedy(ids, 400, 7, m.EOS)
				if err != nil {
					t.Fatal(err)
				}
				got := m.Tokenizer.Decode(tokens, tokenizer.DecodeOptions{SkipSpecial: true})
				if strings.TrimSpace(got) != strings.TrimSpace(c.Answer) {
					t.Errorf("%s %s: %q gives %q, want %q", path, isa, c.Prompt, got, c.Answer)
				}
			}
		}
	}
}
