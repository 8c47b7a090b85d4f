package model

import (
	"fmt"
	"math"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// The decoder that most open models are: RMS norms before attention and before a
// gated feed-forward layer, rotary positions, grouped key-value heads. Architectures
// of the family differ in the few things a Config says.

// tensorNames are the tensors of one kind of file; %d is the layer.
type tensorNames struct {
	embed, norm, head       string
	attnNorm, q, k, v, out  string
	qNorm, kNorm            string
	ffnNorm, gate, up, down string
}

var jsonNames = tensorNames{
	embed: "model.embed_tokens", norm: "model.norm", head: "lm_head",
	attnNorm: "model.layers.%d.input_layernorm",
	q:        "model.layers.%d.self_attn.q_proj", k: "model.layers.%d.self_attn.k_proj",
	v: "model.layers.%d.self_attn.v_proj", out: "model.layers.%d.self_attn.o_proj",
	qNorm: "model.layers.%d.self_attn.q_norm", kNorm: "model.layers.%d.self_attn.k_norm",
	ffnNorm: "model.layers.%d.post_attention_layernorm",
	gate:    "model.layers.%d.mlp.gate_proj", up: "model.layers.%d.mlp.up_proj", down: "model.layers.%d.mlp.down_proj",
}

var ggufNames = tensorNames{
	embed: "token_embd", norm: "output_norm", head: "output",
	attnNorm: "blk.%d.attn_norm",
	q:        "blk.%d.attn_q", k: "blk.%d.attn_k", v: "blk.%d.attn_v", out: "blk.%d.attn_output",
	qNorm: "blk.%d.attn_q_norm", kNorm: "blk.%d.attn_k_norm",
	ffnNorm: "blk.%d.ffn_norm",
	gate:    "blk.%d.ffn_gate", up: "blk.%d.ffn_up", down: "blk.%d.ffn_down",
}

// absentKeys are what an architecture takes where config.json does not have the key
// at all; null means what it says.
type absentKeys struct {
	context uint32
	kvHeads uint32 // 0: as many as heads
	headDim uint32 // 0: the hidden size shared among heads
}

// decoder reads what config.json of every architecture of the family has.
func (c *jsonConfig) decoder(absent absentKeys) Config {
	heads, hidden := c.u32("num_attention_heads", 0), c.u32("hidden_size", 0)
	config := Config{
		Layers: c.u32("num_hidden_layers", 0), Hidden: hidden, FFN: c.u32("intermediate_size", 0),
		Heads: heads, KVHeads: c.u32("num_key_value_heads", heads),
		HeadDim: c.u32("head_dim", hidden/max(heads, 1)),
		Vocab:   c.u32("vocab_size", 0), Context: c.u32("max_position_embeddings", absent.context),
		NormEps: float32(c.number("rms_norm_eps", 1e-6)), RopeKind: abi.RopeHalf,
		Tied: c.boolean("tie_word_embeddings", false),
	}
	if absent.kvHeads > 0 && !c.has("num_key_value_heads") {
		config.KVHeads = absent.kvHeads
	}
	if absent.headDim > 0 && !c.has("head_dim") {
		config.HeadDim = absent.headDim
	}
	config.RopeTheta, config.Scaling = c.rope(config.Context)
	config.Context = config.Scaling.stretch(config.Context)
	c.scheme = c.quantisation()
	c.demand("hidden_act", "silu", "swish")
	c.demand("partial_rotary_factor", 1.0)
	for _, option := range unhonoured {
		c.demand(option.key, option.neutral...)
	}
	return config
}

// unhonoured are options seen in configurations of the family that change the
// mathematics, with the values that do not; null is always one.
var unhonoured = []struct {
	key     string
	neutral []any
}{
	{"compression_config", nil},
	{"attn_logit_softcapping", nil}, {"final_logit_softcapping", nil}, {"query_pre_attn_scalar", nil}, {"clip_qkv", nil},
	{"attention_multiplier", nil}, {"residual_multiplier", []any{1.0}}, {"embedding_multiplier", []any{1.0}}, {"logits_scaling", []any{1.0}},
	{"scale_emb", []any{1.0}}, {"scale_depth", nil}, {"dim_model_base", nil}, {"logit_scale", []any{1.0}}, {"lm_head_multiplier", []any{1.0}},
	{"key_multiplier", []any{1.0}}, {"attn_temperature_tuning", []any{false}}, {"use_logn_attn", []any{false}}, {"use_dynamic_ntk", []any{false}},
	{"use_qk_norm", []any{false}}, {"qk_norm", []any{false}}, {"qk_layernorm", []any{false}},
	{"num_local_experts", []any{0.0}}, {"num_experts", []any{0.0}}, {"n_routed_experts", []any{0.0}}, {"moe_intermediate_size", []any{0.0}},
	{"kv_lora_rank", nil}, {"q_lora_rank", nil}, {"no_rope_layers", []any{empty}}, {"no_rope_layer_interval", []any{0.0}},
	{"rope_interleaved", []any{false}}, {"alibi", []any{false}}, {"use_mrope", []any{false}}, {"mrope_section", nil}, {"rotary_pct", []any{1.0}},
	{"rotary_dim", nil}, {"rope_ratio", []any{1.0}}, {"rope_local_base_freq", nil}, {"position_embedding_type", []any{"rope", "rotary"}},
	{"original_max_position_embeddings", nil}, {"dual_chunk_attention_config", nil}, {"attention_chunk_size", nil}, {"attn_config", nil},
	{"sliding_window_pattern", nil}, {"attention_sinks", []any{false}}, {"hidden_activation", []any{"silu", "swish"}}, {"norm_type", []any{"rms_norm", "rmsnorm"}},
	{"add_cross_attention", []any{false}}, {"is_encoder_decoder", []any{false}}, {"is_causal", []any{true}}, {"use_bidirectional_attention", []any{false}},
	{"use_parallel_residual", []any{false}}, {"parallel_attn", []any{false}}, {"pruned_heads", []any{empty}}, {"auto_map", []any{empty}},
}

// design ends the reading of config.json.
func (c *jsonConfig) design(config Config) (*design, error) {
	if c.err != nil {
		return nil, c.err
	}
	if err := config.check(configName); err != nil {
		return nil, err
	}
	d := decoderDesign(config, jsonNames)
	d.scheme = c.scheme
	return d, nil
}

// decoder reads what the metadata of every architecture of the family has.
func (c *ggufConfig) decoder(ropeKind uint32) Config {
	heads := c.u32("attention.head_count", 0)
	hidden := c.u32("embedding_length", 0)
	dim := c.u32("attention.key_length", hidden/max(heads, 1))
	bias := func(pattern string) bool { return c.has(fmt.Sprintf(pattern, 0) + ".bias") }
	config := Config{
		Layers: c.u32("block_count", 0), Hidden: hidden, FFN: c.u32("feed_forward_length", 0),
		Heads: heads, KVHeads: c.u32("attention.head_count_kv", heads), HeadDim: dim,
		Vocab: c.vocab(), Context: c.u32("context_length", 0),
		NormEps:   float32(c.number("attention.layer_norm_rms_epsilon", 0)),
		RopeTheta: c.number("rope.freq_base", 10000), RopeKind: ropeKind,
		QKVBias: bias(ggufNames.q), OutBias: bias(ggufNames.out), MLPBias: bias(ggufNames.gate),
		Tied: !c.has(ggufNames.head + ".weight"), Pooling: c.pooling(),
	}
	config.Scaling = c.scaling(config.Context)
	config.Context = config.Scaling.stretch(config.Context)
	c.demand("attention.value_length", int64(dim))
	c.demand("rope.dimension_count", int64(dim))
	c.demand("expert_count", int64(0))
	c.demand("expert_used_count", int64(0))
	return config
}

// design ends the reading of metadata.
func (c *ggufConfig) design(config Config) (*design, error) {
	if err := c.strangers(); err != nil {
		return nil, err
	}
	if err := config.check(c.file); err != nil {
		return nil, err
	}
	return decoderDesign(config, ggufNames), nil
}

// vocab is stated or else the length of the token list.
func (c *ggufConfig) vocab() uint32 {
	tokens, _ := c.meta["tokenizer.ggml.tokens"].([]string)
	return c.u32("vocab_size", uint32(len(tokens)))
}

// spareTensors says which tensors a file may carry that the Plan computes itself, or
// that are in it already.
func spareTensors(c *Config, head string) func(string) bool {
	return func(name string) bool {
		return strings.HasSuffix(name, ".rotary_emb.inv_freq") || c.Tied && name == head+".weight" ||
			c.Scaling.Divisors != nil && name == ropeDivisors
	}
}

// Buffers of the plan.
const (
	bufHidden  = 1 // residual stream
	bufNormed  = 2
	bufQKV     = 3
	bufMixed   = 4 // attention's output
	bufFFN     = 5
	bufSampled = 6 // normed rows that sample
	bufLogits  = 7
)

// decoderDesign writes the plan and names its weights.
func decoderDesign(c Config, names tensorNames) *design {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	d := &design{config: c, spare: spareTensors(&c, names.head)}
	d.plan = abi.Plan{
		VocabSize: c.Vocab, KVLayers: c.Layers, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		RopeTables: []abi.RopeTable{c.Scaling.table(c.RopeTheta, c.HeadDim)},
		Buffers: []abi.Buffer{
			{ID: bufHidden, Width: c.Hidden}, {ID: bufNormed, Width: c.Hidden}, {ID: bufQKV, Width: q + 2*kv},
			{ID: bufMixed, Width: q}, {ID: bufFFN, Width: c.FFN},
			{ID: bufSampled, Width: c.Hidden, SampledRows: true}, {ID: bufLogits, Width: c.Vocab, SampledRows: true},
		},
	}
	d.matrix("embed", 0, names.embed, c.Vocab, c.Hidden)
	d.op(abi.Op{Kind: abi.OpEmbed, Out: bufHidden, OutFeatures: [3]uint32{c.Hidden}, Weight: "embed"})
	for layer := range c.Layers {
		d.attention(layer, names)
		d.feedForward(layer, names)
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

func (d *design) attention(layer uint32, names tensorNames) {
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
	d.ropeStore(heads, at(names.qNorm), at(names.kNorm))
	heads.Kind, heads.Out, heads.Window = abi.OpAttention, bufMixed, c.window(layer)
	heads.AttnScale = float32(1 / math.Sqrt(float64(c.HeadDim)))
	d.op(heads)
	d.op(abi.Op{Kind: abi.OpOut, In: bufMixed, Out: bufHidden, Residual: bufHidden, InFeatures: q, OutFeatures: [3]uint32{c.Hidden},
		Weight: blk + "out", Bias: when(c.OutBias, blk+"out_bias")})
	d.matrix(blk+"out", 0, at(names.out), c.Hidden, q)
	d.bias(c.OutBias, blk+"out_bias", 0, at(names.out), c.Hidden)
}

// ropeStore norms the heads of q and k where the architecture does, and rotates them.
func (d *design) ropeStore(op abi.Op, qNorm, kNorm string) {
	c, blk := d.config, fmt.Sprintf("blk.%d.", op.Layer)
	op.Kind, op.Out, op.RopeKind, op.RopeDims = abi.OpRopeStore, bufQKV, c.RopeKind, c.HeadDim
	if c.QKNorm {
		op.QNorm, op.KNorm, op.NormKind, op.NormEps = blk+"q_norm", blk+"k_norm", abi.NormRMS, c.NormEps
		d.matrix(op.QNorm, 0, qNorm, 1, c.HeadDim)
		d.matrix(op.KNorm, 0, kNorm, 1, c.HeadDim)
	}
	d.op(op)
}

func (d *design) feedForward(layer uint32, names tensorNames) {
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
