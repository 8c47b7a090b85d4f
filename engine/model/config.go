package model

import "fmt"

// Config is the shape of a decoder-only transformer.
type Config struct {
	Layers    uint32
	Hidden    uint32 // width of the residual stream
	FFN       uint32 // width of the feed-forward layer
	Heads     uint32
	KVHeads   uint32
	HeadDim   uint32
	Vocab     uint32
	Context   uint32 // longest sequence the model was made for, tokens
	NormEps   float32
	RopeTheta float64
	RopeKind  uint32 // abi.RopeHalf or abi.RopePair: how the weights are stored
	Scaling   RopeScaling
	Windows   []uint32 // positions each layer attends to, 0 for all; nil: all do
	QKNorm    bool     // each head of q and k is normed before it is rotated
	QKVBias   bool
	OutBias   bool
	MLPBias   bool
	Tied      bool // the head shares the embedding's weight
	Pooling   Pooling
}

// Bounds that no model comes near; they keep products of sizes within 64 bits.
const (
	maxLayers  = 1 << 10
	maxWidth   = 1 << 18
	maxHeads   = 1 << 10
	maxHeadDim = 1 << 10
	maxVocab   = 1 << 21
	maxContext = 1 << 27
)

// ConfigError is a value in a model's configuration that is out of bounds or asks
// for something that is not honoured.
type ConfigError struct {
	File   string // "config.json", "model.gguf"
	Key    string
	Value  any
	Reason string // the bound, or what is honoured
}

// Error names file, key, value and bound.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s: %s = %s: %s", e.File, e.Key, clip(fmt.Sprint(e.Value)), e.Reason)
}

// clip shortens what a file says to what a sentence can hold.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// UnsupportedError is an architecture, option or tensor that is not honoured.
type UnsupportedError struct {
	File   string
	What   string // "architecture", "option", "tensor", "element type"
	Name   string
	Tensor string // that has the element type; may be empty
	Have   string // what is honoured; may be empty
}

// Error names the file and what is not supported.
func (e *UnsupportedError) Error() string {
	s := fmt.Sprintf("%s: unsupported %s %q", e.File, e.What, clip(e.Name))
	if e.Tensor != "" {
		s += fmt.Sprintf(" of tensor %q", e.Tensor)
	}
	if e.Have != "" {
		s += " (supported: " + e.Have + ")"
	}
	return s
}

// check bounds every number; keys are those of config.json.
func (c *Config) check(file string) error {
	for _, f := range []struct {
		key   string
		value uint32
		bound uint32
	}{
		{"num_hidden_layers", c.Layers, maxLayers},
		{"hidden_size", c.Hidden, maxWidth},
		{"intermediate_size", c.FFN, maxWidth},
		{"num_attention_heads", c.Heads, maxHeads},
		{"num_key_value_heads", c.KVHeads, maxHeads},
		{"head_dim", c.HeadDim, maxHeadDim},
		{"vocab_size", c.Vocab, maxVocab},
		{"max_position_embeddings", c.Context, maxContext},
	} {
		if f.value == 0 || f.value > f.bound {
			return &ConfigError{file, f.key, f.value, fmt.Sprintf("must be from 1 to %d", f.bound)}
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return &ConfigError{file, "num_attention_heads", c.Heads, fmt.Sprintf("must be a multiple of num_key_value_heads (%d)", c.KVHeads)}
	case c.HeadDim%2 != 0:
		return &ConfigError{file, "head_dim", c.HeadDim, "must be even"}
	case !(c.NormEps > 0 && c.NormEps < 1):
		return &ConfigError{file, "rms_norm_eps", c.NormEps, "must be above 0 and below 1"}
	case !(c.RopeTheta > 1 && c.RopeTheta <= 1e12):
		return &ConfigError{file, "rope_theta", c.RopeTheta, "must be above 1 and at most 1e12"}
	}
	return c.Scaling.check(file, c.RopeTheta, c.HeadDim)
}
