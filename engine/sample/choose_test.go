package sample

import (
	"math"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// TestPhilox holds to the known answers of Random123 (kat_vectors, philox4x32 10).
func TestPhilox(t *testing.T) {
	const f = math.MaxUint32
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{f, f, f, f}, [2]uint32{f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.counter, c.key); got != c.want {
			t.Errorf("philox(%x, %x) = %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

// TestChoose walks every rule with logits whose answer is plain.
func TestChoose(t *testing.T) {
	logits := []float32{1, 3, 2, 3, -1}
	for name, c := range map[string]struct {
		change func(*Row)
		want   int32
	}{
		"lowest id of equals":         {func(*Row) {}, 1},
		"bias":                        {func(r *Row) { r.Slot.Biases = []abi.Bias{{Token: 4, Bias: 5}} }, 4},
		"eos below min_position":      {func(r *Row) { r.Slot.EOS, r.Slot.MinPosition = []int32{1}, 4 }, 3},
		"eos at min_position":         {func(r *Row) { r.Slot.EOS, r.Slot.MinPosition = []int32{1}, 3 }, 1},
		"mask":                        {func(r *Row) { r.Mask = []uint32{1<<0 | 1<<2} }, 2},
		"repetition over the prompt":  {func(r *Row) { r.History[0], r.Slot.Sampling.Repetition = 1, 2 }, 3},
		"presence spares the prompt":  {func(r *Row) { r.History[0], r.Slot.Sampling.Presence = 1, 2 }, 1},
		"presence over sampled":       {func(r *Row) { r.History[2], r.Slot.Sampling.Presence = 1, 2 }, 3},
		"frequency counts":            {func(r *Row) { r.History, r.Slot.Sampling.Frequency = []int32{0, 0, 1, 1, 3}, 0.6 }, 3},
		"top_k 1":                     {func(r *Row) { r.Slot.Sampling.Temperature, r.Slot.Sampling.TopK = 2, 1 }, 1},
		"top_p of the best":           {func(r *Row) { r.Slot.Sampling.Temperature, r.Slot.Sampling.TopP = 2, 0.01 }, 1},
		"min_p 1 leaves equals; mask": {func(r *Row) { r.Slot.Sampling.Temperature, r.Slot.Sampling.MinP, r.Mask = 2, 1, []uint32{0b11101} }, 3},
	} {
		r := &Row{Logits: slices.Clone(logits), History: []int32{0, 0, 0}, Prompt: 2, Slot: &abi.Slot{Sampling: Defaults()}}
		r.Slot.Sampling.Temperature = 0
		c.change(r)
		if got, ok := Choose(r); !ok || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, ok, c.want)
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for name, r := range map[string]*Row{
		"NaN":        {Logits: []float32{1, nan}},
		"empty mask": {Logits: []float32{1, 2}, Mask: []uint32{0}},
	} {
		r.Slot = &abi.Slot{Sampling: Defaults()}
		if token, ok := Choose(r); ok {
			t.Errorf("%s: chose %d", name, token)
		}
	}
}

// TestDistribution draws at 20,000 positions: chi-square of 4 degrees of freedom.
// The draws are fixed, so the test always gives the same number.
func TestDistribution(t *testing.T) {
	const n = 20000
	logits := []float32{0, 1, 2, 0.5, -1}
	counts := make([]float64, len(logits))
	slot := &abi.Slot{Seed: 7, Sampling: Defaults()}
	for i := range n {
		token, _ := Choose(&Row{Logits: logits, History: make([]int32, i), Prompt: i, Slot: slot})
		counts[token]++
	}
	chi := 0.0
	for i, count := range counts {
		want := n * math.Exp(float64(Logprob(logits, int32(i))))
		chi += (count - want) * (count - want) / want
	}
	if chi > 18.5 { // p = 0.001
		t.Errorf("chi-square %.1f of counts %v", chi, counts)
	}
}

func TestTypical(t *testing.T) {
	// Entropy 1.03 nats; the middle token's surprise (1.20) is nearest to it.
	c := candidates([]float32{float32(math.Log(0.5)), float32(math.Log(0.3)), float32(math.Log(0.2))}, 1)
	kept := cut(c, &abi.Sampling{TopP: 1, TypicalP: 0.25})
	if len(kept) != 1 || kept[0].token != 1 || kept[0].p != 1 {
		t.Errorf("kept %v", kept)
	}
}

func TestTop(t *testing.T) {
	tokens, logprobs := Top([]float32{1, 3, 2, 3}, 3)
	if !slices.Equal(tokens, []int32{1, 3, 2}) || logprobs[0] != logprobs[1] || logprobs[2] >= logprobs[1] {
		t.Errorf("%v %v", tokens, logprobs)
	}
}
