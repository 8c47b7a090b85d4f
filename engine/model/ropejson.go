package model

import (
	"fmt"
	"reflect"
	"slices"
)

// ropeKeys are the keys that each kind of scaling honours; "finetuned" is a remark.
var ropeKeys = map[string][]string{
	"default":   {"factor"},
	scaleLinear: {"factor"},
	scaleLlama3: {"factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"},
	scaleYarn: {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow",
		"mscale", "mscale_all_dim", "truncate", "finetuned"},
}

// rope reads rope_theta and how positions are scaled, from rope_scaling as older
// configurations have it or from rope_parameters.
func (c *jsonConfig) rope(context uint32) (theta float64, s RopeScaling) {
	theta = c.number("rope_theta", 10000)
	key, nested := c.ropeObject()
	if nested == nil {
		return theta, s
	}
	sub := &jsonConfig{values: nested}
	kind := sub.ropeKind()
	theta = sub.number("rope_theta", theta)
	sub.demand("partial_rotary_factor", 1.0)
	sub.onlyKeys(kind)
	s = sub.scaling(kind, context)
	if e, bad := sub.err.(*ConfigError); bad {
		c.fail(key+"."+e.Key, e.Value, e.Reason)
	}
	return theta, s
}

// ropeObject finds the one object that speaks of positions; nil when there is none.
func (c *jsonConfig) ropeObject() (key string, nested map[string]any) {
	for _, name := range []string{"rope_parameters", "rope_scaling"} {
		object, ok := c.values[name].(map[string]any)
		if !ok {
			c.demand(name)
			continue
		}
		if nested != nil && !reflect.DeepEqual(nested, object) {
			c.fail(name, object, "contradicts "+key)
		}
		key, nested = name, object
	}
	return key, nested
}

// ropeKind reads rope_type or, as it was first called, type.
func (c *jsonConfig) ropeKind() string {
	kind := "default"
	for _, key := range []string{"type", "rope_type"} {
		value := c.values[key]
		if value == nil {
			continue
		}
		name, _ := value.(string)
		if ropeKeys[name] == nil {
			c.fail(key, value, fmt.Sprintf("not supported; it must be absent or one of [%s]", supported(ropeKeys)))
			return ""
		}
		if before := c.values["type"]; before != nil && before != value {
			c.fail(key, value, fmt.Sprintf("contradicts type (%v)", before))
		}
		kind = name
	}
	return kind
}

// onlyKeys refuses keys that the kind of scaling does not know.
func (c *jsonConfig) onlyKeys(kind string) {
	known := append([]string{"rope_type", "type", "rope_theta", "partial_rotary_factor"}, ropeKeys[kind]...)
	for key, value := range c.values {
		if value != nil && !slices.Contains(known, key) {
			c.fail(key, value, fmt.Sprintf("not supported with rope_type %q", kind))
		}
	}
}

// scaling reads the options of one kind.
func (c *jsonConfig) scaling(kind string, context uint32) RopeScaling {
	s := RopeScaling{Kind: kind}
	switch kind {
	case "default":
		c.demand("factor", 1.0)
		return RopeScaling{}
	case scaleLinear:
		s.Factor = c.due("factor")
	case scaleLlama3:
		s.Factor, s.LowFreq, s.HighFreq = c.due("factor"), c.due("low_freq_factor"), c.due("high_freq_factor")
		s.Original = c.u32("original_max_position_embeddings", context)
	case scaleYarn:
		s.Factor, s.Original = c.due("factor"), c.u32("original_max_position_embeddings", context)
		s.BetaFast, s.BetaSlow = orElse(c.number("beta_fast", 0), 32), orElse(c.number("beta_slow", 0), 1)
		s.Exact = !c.boolean("truncate", true)
		s.Attn = c.number("attention_factor", c.yarnAttention(s.Factor))
	}
	return s
}

// yarnAttention follows mscale and mscale_all_dim where both are there, else the
// factor alone.
func (c *jsonConfig) yarnAttention(factor float64) float64 {
	scale, all := c.number("mscale", 0), c.number("mscale_all_dim", 0)
	if scale != 0 && all != 0 {
		return yarnAttention(factor, scale) / yarnAttention(factor, all)
	}
	return yarnAttention(factor, 1)
}

// due reads a number that has no default.
func (c *jsonConfig) due(key string) float64 {
	if c.values[key] == nil {
		c.fail(key, c.values[key], "must be a number")
	}
	return c.number(key, 0)
}

// orElse replaces zero.
func orElse(value, fallback float64) float64 {
	if value == 0 {
		return fallback
	}
	return value
}
