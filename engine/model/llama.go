package model

import (
	"fmt"
	"math"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
)

func init() {
	fromJSON["LlamaForCausalLM"] = llamaFromJSON
	fromGGUF["llama"] = llamaFromGGUF
}

// llamaNames are the tensors of one kind of file; %d is the layer.
type llamaNames struct {
	embed, norm, head       string
	attnNorm, q, k, v, out  string
	ffnNorm, gate, up, down string
}

var llamaJSONNames = llamaNames{
	embed: "model.embed_tokens", norm: "model.norm", head: "lm_head",
	attnNorm: "model.layers.%d.input_layernorm",
	q:        "model.layers.%d.self_attn.q_proj", k: "model.layers.%d.self_attn.k_proj",
	v: "model.layers.%d.self_attn.v_proj", out: "model.layers.%d.self_attn.o_proj",
	ffnNorm: "model.layers.%d.post_attention_layernorm",
	gate:    "model.layers.%d.mlp.gate_proj", up: "model.layers.%d.mlp.up_proj", down: "model.layers.%d.mlp.down_proj",
}

var llamaGGUFNames = llamaNames{
	embed: "token_embd", norm: "output_norm", head: "output",
	attnNorm: "blk.%d.attn_norm",
	q:        "blk.%d.attn_q", k: "blk.%d.attn_k", v: "blk.%d.attn_v", out: "blk.%d.attn_output",
	ffnNorm: "blk.%d.ffn_norm",
	gate:    "blk.%d.ffn_gate", up: "blk.%d.ffn_up", down: "blk.%d.ffn_down",
}

// llamaFromJSON reads a Hugging Face config.json.
func llamaFromJSON(c *jsonConfig) (*design, error) {
	heads := c.u32("num_attention_heads", 0)
	hidden := c.u32("hidden_size", 0)
	config := Config{
		Layers: c.u32("num_hidden_layers", 0), Hidden: hidden, FFN: c.u32("intermediate_size", 0),
		Heads: heads, KVHeads: c.u32("num_key_value_heads", heads),
		HeadDim: c.u32("head_dim", hidden/max(heads, 1)),
		Vocab:   c.u32("vocab_size", 0), Context: c.u32("max_position_embeddings", 2048),
		NormEps: float32(c.number("rms_norm_eps", 1e-6)), RopeTheta: c.ropeTheta(),
		RopeKind: abi.RopeHalf,
		QKVBias:  c.boolean("attention_bias", false), MLPBias: c.boolean("mlp_bias", false),
		Tied: c.boolean("tie_word_embeddings", false),
	}
	config.OutBias = config.QKVBias
	c.demand("hidden_act", "silu", "swish")
	c.demand("partial_rotary_factor", 1.0)
	for _, key := range llamaUnhonoured {
		c.demand(key)
	}
	if c.err != nil {
		return nil, c.err
	}
	if err := config.check(configName); err != nil {
		return nil, err
	}
	return llamaDesign(config, llamaJSONNames), nil
}

// llamaUnhonoured are options seen in configurations of the family that change the
// mathematics: any value but null is refused.
var llamaUnhonoured = []string{
	"quantization_config", "sliding_window", "layer_types", "attn_logit_softcapping", "final_logit_softcapping",
	"attention_multiplier", "residual_multiplier", "embedding_multiplier", "logits_scaling",
	"query_pre_attn_scalar", "use_qk_norm", "qk_norm", "num_local_experts", "num_experts",
	"no_rope_layers", "scale_emb", "scale_depth", "dim_model_base", "add_cross_attention",
}

// ropeTheta reads rope_theta, at the top or within rope_parameters, and refuses
// every scaling of positions.
func (c *jsonConfig) ropeTheta() float64 {
	theta := c.number("rope_theta", 10000)
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		nested, ok := c.values[key].(map[string]any)
		if !ok {
			c.demand(key)
			continue
		}
		sub := jsonConfig{values: nested}
		sub.demand("rope_type", "default")
		sub.demand("type", "default")
		sub.demand("factor", 1.0)
		sub.demand("partial_rotary_factor", 1.0)
		theta = sub.number("rope_theta", theta)
		if e, bad := sub.err.(*ConfigError); bad {
			c.fail(key+"."+e.Key, e.Value, e.Reason)
		}
	}
	return theta
}

// llamaFromGGUF reads GGUF metadata.
func llamaFromGGUF(c *ggufConfig) (*design, error) {
	heads := c.u32("attention.head_count", 0)
	hidden := c.u32("embedding_length", 0)
	dim := c.u32("attention.key_length", hidden/max(heads, 1))
	n := llamaGGUFNames
	config := Config{
		Layers: c.u32("block_count", 0), Hidden: hidden, FFN: c.u32("feed_forward_length", 0),
		Heads: heads, KVHeads: c.u32("attention.head_count_kv", heads), HeadDim: dim,
		Vocab: c.vocab(), Context: c.u32("context_length", 0),
		NormEps: float32(c.number("attention.layer_norm_rms_epsilon", 0)), RopeTheta: c.number("rope.freq_base", 10000),
		RopeKind: abi.RopePair,
		QKVBias:  c.has(fmt.Sprintf(n.q, 0) + ".bias"), OutBias: c.has(fmt.Sprintf(n.out, 0) + ".bias"),
		MLPBias: c.has(fmt.Sprintf(n.gate, 0) + ".bias"), Tied: !c.has(n.head + ".weight"),
	}
	c.demand("attention.value_length", int64(dim))
	c.demand("rope.dimension_count", int64(dim))
	c.demand("rope.scaling.type", "none")
	c.demand("rope.scaling.finetuned", false)
	c.demand("rope.scaling.original_context_length", int64(config.Context))
	c.demand("expert_count", int64(0))
	c.demand("expert_used_count", int64(0))
	if err := c.strangers(); err != nil {
		return nil, err
	}
	if err := config.check(c.file); err != nil {
		return nil, err
	}
	return llamaDesign(config, n), nil
}

// vocab is stated or else the length of the token list.
func (c *ggufConfig) vocab() uint32 {
	tokens, _ := c.meta["tokenizer.ggml.tokens"].([]string)
	return c.u32("vocab_size", uint32(len(tokens)))
}

// llamaSpare are tensors that older exports carry and the Plan computes itself.
func llamaSpare(tied bool, head string) func(string) bool {
	return func(name string) bool {
		return strings.HasSuffix(name, ".rotary_emb.inv_freq") || tied && name == head+".weight"
	}
}

// Buffers of the Llama plan.
const (
	bufHidden  = 1 // residual stream
	bufNormed  = 2
	bufQKV     = 3
	bufMixed   = 4 // attention's output
	bufFFN     = 5
	bufSampled = 6 // normed rows that sample
	bufLogits  = 7
)

// llamaDesign writes the plan and names its weights.
func llamaDesign(c Config, names llamaNames) *design {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	d := &design{config: c, spare: llamaSpare(c.Tied, names.head)}
	d.plan = abi.Plan{
		VocabSize: c.Vocab, KVLayers: c.Layers, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		RopeTables: []abi.RopeTable{{InvFreq: ropeFrequencies(c.RopeTheta, c.HeadDim)}},
		Buffers: []abi.Buffer{
			{ID: bufHidden, Width: c.Hidden}, {ID: bufNormed, Width: c.Hidden}, {ID: bufQKV, Width: q + 2*kv},
			{ID: bufMixed, Width: q}, {ID: bufFFN, Width: c.FFN},
			{ID: bufSampled, Width: c.Hidden, SampledRows: true}, {ID: bufLogits, Width: c.Vocab, SampledRows: true},
		},
	}
	d.matrix("embed", 0, names.embed, c.Vocab, c.Hidden)
	d.op(abi.Op{Kind: abi.OpEmbed, Out: bufHidden, OutFeatures: [3]uint32{c.Hidden}, Weight: "embed"})
	for layer := range c.Layers {
		d.llamaAttention(layer, names)
		d.llamaFFN(layer, names)
	}
	d.norm("norm", names.norm, bufHidden, bufSampled)
	head := "embed"
	if !c.Tied {
		head = "head"
		d.matrix(head, 0, names.head, c.Vocab, c.Hidden)
	}
	d.op(abi.Op{Kind: abi.OpHead, In: bufSampled, Out: bufLogits, InFeatures: c.Hidden, OutFeatures: [3]uint32{c.Vocab}, Weight: head})
	d.op(abi.Op{Kind: abi.OpSample, In: bufLogits})
	return d
}

func (d *design) llamaAttention(layer uint32, names llamaNames) {
	c, blk := d.config, fmt.Sprintf("blk.%d.", layer)
	at := func(pattern string) string { return fmt.Sprintf(pattern, layer) }
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	d.norm(blk+"attn_norm", at(names.attnNorm), bufHidden, bufNormed)
	d.op(abi.Op{Kind: abi.OpQKV, In: bufNormed, Out: bufQKV, InFeatures: c.Hidden, OutFeatures: [3]uint32{q, kv, kv},
		Weight: blk + "qkv", Bias: when(c.QKVBias, blk+"qkv_bias")})
	for i, source := range []string{names.q, names.k, names.v} {
		rows := []uint32{q, kv, kv}[i]
		d.matrix(blk+"qkv", uint32(i), at(source), rows, c.Hidden)
		d.bias(c.QKVBias, blk+"qkv_bias", uint32(i), at(source), rows)
	}
	heads := abi.Op{Layer: layer, In: bufQKV, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim}
	rope, attention := heads, heads
	rope.Kind, rope.Out, rope.RopeKind, rope.RopeDims = abi.OpRopeStore, bufQKV, c.RopeKind, c.HeadDim
	attention.Kind, attention.Out, attention.AttnScale = abi.OpAttention, bufMixed, float32(1/math.Sqrt(float64(c.HeadDim)))
	d.op(rope)
	d.op(attention)
	d.op(abi.Op{Kind: abi.OpOut, In: bufMixed, Out: bufHidden, Residual: bufHidden, InFeatures: q, OutFeatures: [3]uint32{c.Hidden},
		Weight: blk + "out", Bias: when(c.OutBias, blk+"out_bias")})
	d.matrix(blk+"out", 0, at(names.out), c.Hidden, q)
	d.bias(c.OutBias, blk+"out_bias", 0, at(names.out), c.Hidden)
}

func (d *design) llamaFFN(layer uint32, names llamaNames) {
	c, blk := d.config, fmt.Sprintf("blk.%d.", layer)
	at := func(pattern string) string { return fmt.Sprintf(pattern, layer) }
	d.norm(blk+"ffn_norm", at(names.ffnNorm), bufHidden, bufNormed)
	d.op(abi.Op{Kind: abi.OpGateUp, In: bufNormed, Out: bufFFN, InFeatures: c.Hidden, OutFeatures: [3]uint32{c.FFN, c.FFN},
		Weight: blk + "gate_up", Bias: when(c.MLPBias, blk+"gate_up_bias"), Activation: abi.ActSiLU})
	for i, source := range []string{names.gate, names.up} {
		d.matrix(blk+"gate_up", uint32(i), at(source), c.FFN, c.Hidden)
		d.bias(c.MLPBias, blk+"gate_up_bias", uint32(i), at(source), c.FFN)
	}
	d.op(abi.Op{Kind: abi.OpDown, In: bufFFN, Out: bufHidden, Residual: bufHidden, InFeatures: c.FFN, OutFeatures: [3]uint32{c.Hidden},
		Weight: blk + "down", Bias: when(c.MLPBias, blk+"down_bias")})
	d.matrix(blk+"down", 0, at(names.down), c.Hidden, c.FFN)
	d.bias(c.MLPBias, blk+"down_bias", 0, at(names.down), c.Hidden)
}
