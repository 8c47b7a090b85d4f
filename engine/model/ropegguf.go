package model

import "fmt"

// ropeDivisors is the tensor by which GGUF files of Llama 3 scale positions.
const ropeDivisors = "rope_freqs.weight"

// scaling reads how positions are scaled. A factor without a type means linear.
func (c *ggufConfig) scaling(context uint32) RopeScaling {
	s := RopeScaling{Factor: c.number("rope.scaling.factor", 0)}
	kind, absent := c.value("rope.scaling.type"), "none"
	if s.Factor != 0 {
		absent = scaleLinear
	}
	if kind == nil {
		kind = absent
	}
	switch kind {
	case "none":
		c.demand("rope.scaling.factor", float32(1))
		c.demand("rope.scaling.finetuned", false)
		c.demand("rope.scaling.original_context_length", int64(context))
		return RopeScaling{}
	case scaleLinear:
		s.Kind = scaleLinear
		c.value("rope.scaling.original_context_length") // says nothing to a linear scaling
		c.demand("rope.scaling.finetuned", true, false)
	case scaleYarn:
		c.yarn(&s, context)
	default:
		c.fail("rope.scaling.type", kind, "not supported; it must be absent or one of [none linear yarn]")
	}
	return s
}

func (c *ggufConfig) yarn(s *RopeScaling, context uint32) {
	s.Kind = scaleYarn
	s.Original = c.u32("rope.scaling.original_context_length", context)
	s.BetaFast = c.number("rope.scaling.yarn_beta_fast", 32)
	s.BetaSlow = c.number("rope.scaling.yarn_beta_slow", 1)
	s.Attn = yarnAttention(s.Factor, 1)
	c.demand("rope.scaling.finetuned", true, false)
	c.demand("rope.scaling.attn_factor", float32(1))
	c.demand("rope.scaling.yarn_ext_factor", float32(1))
	c.demand("rope.scaling.yarn_attn_factor", float32(1))
	c.demand("rope.scaling.yarn_log_multiplier", float32(0))
}

// readDivisors takes the scaling that a file gives as a tensor.
func (c *ggufConfig) readDivisors(config *Config) {
	if !c.has(ropeDivisors) {
		return
	}
	if config.Scaling.Kind != scaleNone {
		c.fail("rope.scaling.type", config.Scaling.Kind, "must be none beside the tensor "+ropeDivisors)
		return
	}
	divisors, err := c.vector(ropeDivisors, config.HeadDim/2)
	if err != nil && c.err == nil {
		c.err = err
	}
	for _, d := range divisors {
		if !(d > 0 && d <= maxFactor) && c.err == nil {
			c.err = &ConfigError{c.file, ropeDivisors, d, fmt.Sprintf("must be above 0 and at most %g", maxFactor)}
		}
	}
	config.Scaling = RopeScaling{Kind: scaleDivisors, Divisors: divisors}
}
