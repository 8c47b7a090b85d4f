package sample

import (
	"cmp"
	"math"
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Row is everything that one choice depends on.
type Row struct {
	Logits []float32 // as the model gave them; not changed
	// History is the token of every position before the chosen one. The first Prompt
	// of them are the prompt's.
	History []int32
	Prompt  int
	Mask    []uint32 // bit i of word i/32 allows token i; nil allows all
	Slot    *abi.Slot
}

// position is that of the token to be chosen.
func (r *Row) position() uint32 { return uint32(len(r.History)) }

// candidate is a token that is still in the running.
type candidate struct {
	token int32
	logit float64 // after temperature
	p     float64
}

// Choose samples one token. ok is false when a logit is NaN or +Inf, which is no
// distribution, or no token is allowed.
//
// In order: the logarithm of the softmax of the raw logits is what is reported. Then
// come the biases, added; EOS tokens below MinPosition and tokens that the mask
// forbids, removed; the repetition penalty for each token of the history (a positive
// logit is divided by it, another multiplied); presence, and frequency times the
// count, subtracted for each token sampled. With temperature 0 the largest logit
// wins, the lowest id among equals. Otherwise logits are divided by the temperature,
// and candidates, best first and the lower id first among equals, are cut by top_k,
// then top_p, min_p and typical_p, each over the probabilities of what the cut before
// left. The first candidate whose cumulated probability is above the uniform draw of
// (seed, choice, position) wins.
//
// Logits are adjusted in float32, probabilities summed in float64 in candidate order.
func Choose(r *Row) (token int32, ok bool) {
	adjusted, ok := adjust(r)
	if !ok {
		return 0, false
	}
	best := argmax(adjusted)
	if best < 0 {
		return 0, false
	}
	p := &r.Slot.Sampling
	if p.Temperature == 0 {
		return best, true
	}
	kept := cut(candidates(adjusted, float64(p.Temperature)), p)
	u, sum := Uniform(r.Slot.Seed, r.Slot.Choice, r.position(), 0), 0.0
	for _, c := range kept {
		if sum += c.p; u < sum {
			return c.token, true
		}
	}
	return kept[len(kept)-1].token, true
}

// adjust gives the logits after bias, masks and penalties; -Inf is out of the running.
func adjust(r *Row) ([]float32, bool) {
	out := slices.Clone(r.Logits)
	for _, l := range out {
		if l != l || l > math.MaxFloat32 {
			return nil, false
		}
	}
	for _, b := range r.Slot.Biases {
		out[b.Token] += b.Bias
	}
	if r.position() < r.Slot.MinPosition {
		for _, id := range r.Slot.EOS {
			out[id] = float32(math.Inf(-1))
		}
	}
	if r.Mask != nil {
		for i := range out {
			if r.Mask[i/32]>>(i%32)&1 == 0 {
				out[i] = float32(math.Inf(-1))
			}
		}
	}
	penalise(out, r)
	return out, true
}

// penalise applies the three penalties.
func penalise(out []float32, r *Row) {
	p, counts := &r.Slot.Sampling, map[int32]int{} // of sampled tokens; 0 for the prompt's
	for i, token := range r.History {
		if i < r.Prompt {
			counts[token] += 0
		} else {
			counts[token]++
		}
	}
	for token, n := range counts {
		l := out[token]
		if l > 0 {
			l /= p.Repetition
		} else {
			l *= p.Repetition
		}
		if n > 0 {
			l -= p.Presence
			// Rounded before the subtraction, so that no compiler fuses the two.
			times := float32(n) * p.Frequency
			l -= times
		}
		out[token] = l
	}
}

// argmax is the lowest id of the largest logit; -1 when every token is out.
func argmax(logits []float32) int32 {
	best, top := int32(-1), float32(math.Inf(-1))
	for i, l := range logits {
		if l > top {
			best, top = int32(i), l
		}
	}
	return best
}

// candidates lists the tokens still in the running, best first.
func candidates(logits []float32, temperature float64) []candidate {
	var out []candidate
	for i, l := range logits {
		if !math.IsInf(float64(l), -1) {
			out = append(out, candidate{token: int32(i), logit: float64(l) / temperature})
		}
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.token, b.token))
	})
	return normalise(out)
}

// normalise gives candidates, best first, their probabilities among themselves.
func normalise(c []candidate) []candidate {
	top, sum := c[0].logit, 0.0
	for i := range c {
		c[i].p = 1 // also where both are +Inf
		if c[i].logit != top {
			c[i].p = math.Exp(c[i].logit - top)
		}
		sum += c[i].p
	}
	for i := range c {
		c[i].p /= sum
	}
	return c
}

// cut applies top_k, top_p, min_p and typical_p; at least one candidate stays.
func cut(c []candidate, p *abi.Sampling) []candidate {
	if k := int(p.TopK); k > 0 && k < len(c) {
		c = normalise(c[:k])
	}
	if p.TopP < 1 {
		c = normalise(c[:mass(c, float64(p.TopP))])
	}
	if p.MinP > 0 {
		least, n := float64(p.MinP)*c[0].p, 1
		for n < len(c) && c[n].p >= least {
			n++
		}
		c = normalise(c[:n])
	}
	if p.TypicalP < 1 {
		c = typical(c, float64(p.TypicalP))
	}
	return c
}

// mass is how many of the first candidates it takes to reach probability p.
func mass(c []candidate, p float64) int {
	sum := 0.0
	for i := range c {
		if sum += c[i].p; sum >= p {
			return i + 1
		}
	}
	return len(c)
}

// typical keeps the candidates whose surprise is nearest to the entropy, up to
// probability p, best first again.
func typical(c []candidate, p float64) []candidate {
	entropy := 0.0
	for _, x := range c {
		if x.p > 0 {
			entropy -= x.p * math.Log(x.p)
		}
	}
	distance := func(x candidate) float64 { return math.Abs(-math.Log(x.p) - entropy) }
	slices.SortStableFunc(c, func(a, b candidate) int { return cmp.Compare(distance(a), distance(b)) })
	c = c[:mass(c, p)]
	slices.SortFunc(c, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.token, b.token))
	})
	return normalise(c)
}

// Logprob is the natural logarithm of a token's raw probability.
func Logprob(logits []float32, token int32) float32 {
	return float32(float64(logits[token]) - logSum(logits))
}

// Rank is 1 for the likeliest token: one more than the tokens that are likelier.
func Rank(logits []float32, token int32) uint32 {
	rank := uint32(1)
	for _, l := range logits {
		if l > logits[token] {
			rank++
		}
	}
	return rank
}

// logSum is the logarithm of the sum of the exponentials.
func logSum(logits []float32) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		top = max(top, float64(l))
	}
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return top + math.Log(sum)
}

// Top are the n likeliest tokens by raw logits, best first, the lower id first among
// equals, with their logprobs.
func Top(logits []float32, n int) (tokens []int32, logprobs []float32) {
	sum := logSum(logits)
	for len(tokens) < n {
		best := int32(-1)
		for i, l := range logits {
			if !slices.Contains(tokens, int32(i)) && (best < 0 || l > logits[best]) {
				best = int32(i)
			}
		}
		tokens = append(tokens, best)
		logprobs = append(logprobs, float32(float64(logits[best])-sum))
	}
	return tokens, logprobs
}
