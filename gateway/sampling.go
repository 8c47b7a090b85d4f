package gateway

import (
	"math"
	"strconv"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/wire"
)

func (o object) parseSampling(p *options) (err error) {
	s := p.sampling
	for _, f := range []struct {
		name string
		into **float32
		b    bounds
	}{
		{"temperature", &s.Temperature, bounds{low: 0, high: 2}},
		{"top_p", &s.TopP, bounds{low: 0, high: 1, open: true}},
		{"typical_p", &s.TypicalP, bounds{low: 0, high: 1, open: true}},
		{"repetition_penalty", &s.Repetition, bounds{low: 0, high: 2, open: true}},
	} {
		if *f.into, err = o.number(f.name, f.b); err != nil {
			return err
		}
	}
	topK, err := o.integer("top_k", -1, math.MaxInt32)
	if topK != nil && *topK > 0 {
		s.TopK = uint32(*topK)
	}
	return err
}

// parsePenalties reads the numbers whose zero means off.
func (o object) parsePenalties(p *options) error {
	for _, f := range []struct {
		name string
		into *float32
		b    bounds
	}{
		{"min_p", &p.sampling.MinP, bounds{low: 0, high: 1}},
		{"presence_penalty", &p.sampling.Presence, bounds{low: -2, high: 2}},
		{"frequency_penalty", &p.sampling.Frequency, bounds{low: -2, high: 2}},
	} {
		v, err := o.number(f.name, f.b)
		if err != nil {
			return err
		}
		if v != nil {
			*f.into = *v
		}
	}
	return nil
}

// maxIDDigits is the length of the longest token id.
const maxIDDigits = 10

// parseBias reads logit_bias: an object of token ids and biases.
func (o object) parseBias(p *options) error {
	biases, err := o.object("logit_bias")
	if err != nil || biases == nil {
		return err
	}
	if n := biases.dict.Len(); n > maxBiases {
		return bad("logit_bias", "%d entries. Expected at most %d.", n, maxBiases)
	}
	seen := make(map[int64]bool, biases.dict.Len())
	for i := range biases.dict.Len() {
		key := biases.dict.Key(i).(jinja.String).String()
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || len(key) > maxIDDigits {
			return bad("logit_bias", "the key '%s' is not a token id.", clip(key))
		}
		if seen[id] { // "7" and "07"
			return bad("logit_bias", "the token id %d is given twice.", id)
		}
		seen[id] = true
		bias, err := biases.number(key, bounds{low: -100, high: 100})
		if err != nil {
			return err
		}
		if bias != nil {
			p.sampling.Biases = append(p.sampling.Biases, &wire.Bias{Token: int32(id), Bias: *bias})
		}
	}
	return nil
}
