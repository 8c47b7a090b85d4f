package sample

import (
	"math"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// probabilities of these tests, best first: their logarithms are the logits.
var probabilities = []float64{0.4, 0.3, 0.15, 0.1, 0.05}

func logitsOf(p []float64) (logits []float32) {
	for _, x := range p {
		logits = append(logits, float32(math.Log(x)))
	}
	return logits
}

// TestCuts holds top_k, top_p, min_p and typical_p to their definitions in transformers'
// warpers: top_p keeps the fewest that reach it, min_p what is at least that share of the
// best one, typical_p the nearest to the entropy (1.39 nats here) that reach it; each
// sees what the one before left, at its new probabilities.
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		name string
		p    abi.Sampling
		want []int32
	}{
		{"nothing", abi.Sampling{TopP: 1, TypicalP: 1}, []int32{0, 1, 2, 3, 4}},
		{"top_k", abi.Sampling{TopK: 2, TopP: 1, TypicalP: 1}, []int32{0, 1}},
		{"top_k beyond the vocabulary", abi.Sampling{TopK: 99, TopP: 1, TypicalP: 1}, []int32{0, 1, 2, 3, 4}},
		{"top_p within the first", abi.Sampling{TopP: 0.39, TypicalP: 1}, []int32{0}},
		{"top_p beyond the first", abi.Sampling{TopP: 0.41, TypicalP: 1}, []int32{0, 1}},
		{"top_p of three", abi.Sampling{TopP: 0.8, TypicalP: 1}, []int32{0, 1, 2}},
		{"min_p", abi.Sampling{TopP: 1, MinP: 0.3, TypicalP: 1}, []int32{0, 1, 2}},
		{"min_p leaves the best", abi.Sampling{TopP: 1, MinP: 1, TypicalP: 1}, []int32{0}},
		{"typical_p of one", abi.Sampling{TopP: 1, TypicalP: 0.2}, []int32{1}},
		{"typical_p of two", abi.Sampling{TopP: 1, TypicalP: 0.5}, []int32{0, 1}},
		// After top_k 3 the best has 0.47, and two reach 0.8; of all, three would.
		{"top_k, then top_p", abi.Sampling{TopK: 3, TopP: 0.8, TypicalP: 1}, []int32{0, 1}},
		// 0.1 is a quarter of 0.4: min_p looks at shares, which top_k does not change.
		{"top_k, then min_p", abi.Sampling{TopK: 4, TopP: 1, MinP: 0.3, TypicalP: 1}, []int32{0, 1, 2}},
	} {
		var got []int32
		sum := 0.0
		for _, x := range cut(candidates(logitsOf(probabilities), 1), &c.p) {
			got = append(got, x.token)
			sum += x.p
		}
		if !slices.Equal(got, c.want) || math.Abs(sum-1) > 1e-12 {
			t.Errorf("%s: %v with probability %v, want %v", c.name, got, sum, c.want)
		}
	}
}

// TestAdjustments holds bias and penalties to their definitions: repetition divides what
// is positive and multiplies what is not, over prompt and answer, once a token; presence
// and frequency subtract over the answer alone.
func TestAdjustments(t *testing.T) {
	logits := []float32{2, -2, 1, 0, -1}
	for _, c := range []struct {
		name    string
		history []int32 // two of the prompt, then the answer
		slot    abi.Slot
		want    []float32
	}{
		{"bias, twice of one", []int32{0, 0}, abi.Slot{Biases: []abi.Bias{{Token: 3, Bias: 1.5}, {Token: 3, Bias: 1}, {Token: 0, Bias: -100}}}, []float32{-98, -2, 1, 2.5, -1}},
		{"repetition", []int32{0, 1, 0, 3}, abi.Slot{Sampling: abi.Sampling{Repetition: 2}}, []float32{1, -4, 1, 0, -1}},
		{"repetition below 1", []int32{0, 1}, abi.Slot{Sampling: abi.Sampling{Repetition: 0.5}}, []float32{4, -1, 1, 0, -1}},
		{"presence", []int32{0, 1, 2, 2, 4}, abi.Slot{Sampling: abi.Sampling{Presence: 0.5}}, []float32{2, -2, 0.5, 0, -1.5}},
		{"frequency", []int32{0, 1, 2, 2, 4}, abi.Slot{Sampling: abi.Sampling{Frequency: 0.5}}, []float32{2, -2, 0, 0, -1.5}},
		{"negative ones reward", []int32{0, 1, 2, 2}, abi.Slot{Sampling: abi.Sampling{Presence: -1, Frequency: -0.5}}, []float32{2, -2, 3, 0, -1}},
		{"bias before repetition", []int32{0, 3}, abi.Slot{Biases: []abi.Bias{{Token: 3, Bias: 4}}, Sampling: abi.Sampling{Repetition: 2}}, []float32{1, -2, 1, 2, -1}},
	} {
		if c.slot.Sampling.Repetition == 0 {
			c.slot.Sampling.Repetition = 1
		}
		got, ok := adjust(&Row{Logits: logits, History: c.history, Prompt: 2, Slot: &c.slot})
		if !ok || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestNoDistribution refuses NaN and +Inf; -Inf is a token out of the running, of
// logprob -Inf.
func TestNoDistribution(t *testing.T) {
	inf := float32(math.Inf(1))
	for name, c := range map[string]struct {
		logits []float32
		ok     bool
	}{
		"NaN":       {[]float32{1, float32(math.NaN()), 2}, false},
		"+Inf":      {[]float32{1, inf, 2}, false},
		"-Inf":      {[]float32{1, -inf, 2}, true},
		"only -Inf": {[]float32{-inf, -inf}, false},
		"largest":   {[]float32{1, math.MaxFloat32, 2}, true},
	} {
		for _, temperature := range []float32{0, 1} {
			slot := &abi.Slot{Sampling: Defaults()}
			slot.Sampling.Temperature = temperature
			if token, ok := Choose(&Row{Logits: c.logits, Slot: slot}); ok != c.ok {
				t.Errorf("%s at %v: chose %d, %v", name, temperature, token, ok)
			}
		}
	}
	if l := Logprob([]float32{1, -inf, 2}, 1); l != -inf {
		t.Errorf("the logprob of what is out is %v", l)
	}
}

// TestRank counts what is likelier; equals share a rank.
func TestRank(t *testing.T) {
	for token, want := range []uint32{4, 1, 3, 1} {
		if got := Rank([]float32{1, 3, 2, 3}, int32(token)); got != want {
			t.Errorf("token %d has rank %d, want %d", token, got, want)
		}
	}
}
