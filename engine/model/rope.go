package model

import (
	"fmt"
	"math"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Kinds of RopeScaling.
const (
	scaleNone     = ""
	scaleLinear   = "linear"
	scaleLlama3   = "llama3"
	scaleYarn     = "yarn"
	scaleDivisors = "divisors"
)

// RopeScaling stretches rotary positions beyond the context a model was first trained
// on, by lowering frequencies.
type RopeScaling struct {
	Kind     string    // "" for none, "linear", "llama3", "yarn", "divisors"
	Factor   float64   // by which low frequencies are divided
	Original uint32    // llama3, yarn: context before, tokens
	LowFreq  float64   // llama3: a wave that fits the context fewer times is divided in full,
	HighFreq float64   // one that fits more often not at all
	BetaFast float64   // yarn: turns within the context above which a frequency stays,
	BetaSlow float64   // and below which it is divided in full
	Exact    bool      // yarn: the ends of the ramp are not rounded to whole frequencies
	Attn     float64   // yarn: multiplies cos and sin
	Divisors []float32 // divisors: one for each frequency, as the file gives them
}

// stretch is the longest sequence: yarn is switched on in a configuration that still
// names the context before it.
func (s *RopeScaling) stretch(context uint32) uint32 {
	if s.Kind != scaleYarn {
		return context
	}
	return max(context, uint32(min(float64(s.Original)*s.Factor, maxContext)))
}

// table computes the frequencies of a head of dims elements.
func (s *RopeScaling) table(theta float64, dims uint32) abi.RopeTable {
	t := abi.RopeTable{InvFreq: make([]float32, dims/2), AttentionFactor: float32(s.Attn)}
	for i := range t.InvFreq {
		frequency := math.Pow(theta, -2*float64(i)/float64(dims))
		t.InvFreq[i] = float32(frequency / s.divisor(i, frequency, theta, dims))
	}
	return t
}

// divisor of frequency i.
func (s *RopeScaling) divisor(i int, frequency, theta float64, dims uint32) float64 {
	switch s.Kind {
	case scaleLinear:
		return s.Factor
	case scaleLlama3:
		fits := float64(s.Original) * frequency / (2 * math.Pi)
		return s.blend((fits - s.LowFreq) / (s.HighFreq - s.LowFreq))
	case scaleYarn:
		low, high := s.ramp(theta, dims)
		return s.blend(1 - (float64(i)-low)/(high-low))
	case scaleDivisors:
		return float64(s.Divisors[i])
	}
	return 1
}

// blend keeps a share of a frequency and divides the rest by the factor.
func (s *RopeScaling) blend(keep float64) float64 {
	keep = min(max(keep, 0), 1)
	return 1 / (keep + (1-keep)/s.Factor)
}

// ramp is between which indices of frequencies yarn goes from keeping to dividing.
func (s *RopeScaling) ramp(theta float64, dims uint32) (low, high float64) {
	index := func(turns float64) float64 {
		return float64(dims) * math.Log(float64(s.Original)/(turns*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high = index(s.BetaFast), index(s.BetaSlow)
	if !s.Exact {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dims-1))
	if low == high {
		high += 0.001
	}
	return low, high
}

// yarnAttention is yarn's factor of cos and sin where the file gives none.
func yarnAttention(factor, scale float64) float64 { return 1 + 0.1*scale*math.Log(factor) }

// Bounds of scaling.
const (
	maxFactor    = 1e6
	maxAttention = 1e3
)

// check bounds every number; keys are those of config.json.
func (s *RopeScaling) check(file string, theta float64, dims uint32) error {
	bad := func(key string, value any, reason string) error {
		return &ConfigError{file, "rope_scaling." + key, value, reason}
	}
	if s.Kind == scaleNone || s.Kind == scaleDivisors {
		return nil
	}
	if !(s.Factor >= 1 && s.Factor <= maxFactor) {
		return bad("factor", s.Factor, fmt.Sprintf("must be from 1 to %g", maxFactor))
	}
	if s.Kind == scaleLinear {
		return nil
	}
	if s.Original == 0 || s.Original > maxContext {
		return bad("original_max_position_embeddings", s.Original, fmt.Sprintf("must be from 1 to %d", maxContext))
	}
	if s.Kind == scaleLlama3 {
		if !(s.LowFreq > 0 && s.LowFreq < s.HighFreq && s.HighFreq <= maxFactor) {
			return bad("low_freq_factor", s.LowFreq, fmt.Sprintf("must be above 0 and below high_freq_factor (%v), that at most %g", s.HighFreq, maxFactor))
		}
		return nil
	}
	switch low, high := s.ramp(theta, dims); {
	case !(s.BetaSlow > 0 && s.BetaSlow < s.BetaFast && s.BetaFast <= maxFactor):
		return bad("beta_slow", s.BetaSlow, fmt.Sprintf("must be above 0 and below beta_fast (%v), that at most %g", s.BetaFast, maxFactor))
	case !(s.Attn > 0 && s.Attn <= maxAttention):
		return bad("attention_factor", s.Attn, fmt.Sprintf("must be above 0 and at most %g", maxAttention))
	case !(low < high):
		return bad("original_max_position_embeddings", s.Original, fmt.Sprintf("too far from what rope_theta (%v) turns: no frequency lies between beta_fast and beta_slow", theta))
	}
	return nil
}
