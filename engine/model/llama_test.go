package model

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

// smolJSON is the shape of SmolLM2-135M.
const smolJSON = `{"architectures":["LlamaForCausalLM"],"hidden_size":576,"intermediate_size":1536,
"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,"vocab_size":49152,
"max_position_embeddings":8192,"rms_norm_eps":1e-05,"rope_theta":100000,"rope_scaling":null,
"hidden_act":"silu","tie_word_embeddings":true,"attention_bias":false,"mlp_bias":false}`

// jsonWith decodes smolJSON and puts extra keys over it.
func jsonWith(t *testing.T, extra string) *jsonConfig {
	t.Helper()
	c := &jsonConfig{}
	for _, text := range []string{smolJSON, extra} {
		if err := json.Unmarshal([]byte(text), &c.values); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// smolGGUF is the same shape as GGUF metadata.
func smolGGUF(extra map[string]any, tensors ...string) *ggufConfig {
	meta := map[string]any{
		"llama.block_count": uint32(30), "llama.context_length": uint32(8192), "llama.embedding_length": uint32(576),
		"llama.feed_forward_length": uint32(1536), "llama.attention.head_count": uint32(9),
		"llama.attention.head_count_kv": uint32(3), "llama.rope.freq_base": float32(100000),
		"llama.attention.layer_norm_rms_epsilon": float32(1e-5), "llama.vocab_size": uint32(49152),
		"llama.rope.dimension_count": uint32(64),
	}
	maps.Copy(meta, extra)
	has := func(name string) bool { return strings.Contains(strings.Join(tensors, " "), name) }
	return &ggufConfig{file: "m.gguf", prefix: "llama.", meta: meta, has: has, asked: map[string]bool{}}
}

func TestLlamaShapes(t *testing.T) {
	want := Config{Layers: 30, Hidden: 576, FFN: 1536, Heads: 9, KVHeads: 3, HeadDim: 64, Vocab: 49152, Context: 8192,
		NormEps: 1e-5, RopeTheta: 100000, RopeKind: abi.RopeHalf, Tied: true}
	d, err := llamaFromJSON(jsonWith(t, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d.config, want) {
		t.Errorf("config.json: %+v\nwant %+v", d.config, want)
	}
	want.RopeKind = abi.RopePair
	d, err = llamaFromGGUF(smolGGUF(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d.config, want) {
		t.Errorf("GGUF: %+v\nwant %+v", d.config, want)
	}
}

// TestLlamaOptions checks options that are honoured by what they change.
func TestLlamaOptions(t *testing.T) {
	for extra, change := range map[string]func(*Config){
		`{"attention_bias":true}`:                     func(c *Config) { c.QKVBias, c.OutBias = true, true },
		`{"mlp_bias":true}`:                           func(c *Config) { c.MLPBias = true },
		`{"tie_word_embeddings":false}`:               func(c *Config) { c.Tied = false },
		`{"head_dim":32}`:                             func(c *Config) { c.HeadDim = 32 },
		`{"num_key_value_heads":null}`:                func(c *Config) { c.KVHeads = 9 },
		`{"rope_theta":null}`:                         func(c *Config) { c.RopeTheta = 10000 },
		`{"rope_scaling":{"rope_type":"default"}}`:    func(*Config) {},
		`{"rope_parameters":{"rope_theta":500000.0}}`: func(c *Config) { c.RopeTheta = 500000 },
		`{"sliding_window":null,"hidden_act":null}`:   func(*Config) {},
	} {
		want, err := llamaFromJSON(jsonWith(t, `{}`))
		if err != nil {
			t.Fatal(err)
		}
		change(&want.config)
		got, err := llamaFromJSON(jsonWith(t, extra))
		if err != nil {
			t.Errorf("%s: %v", extra, err)
		} else if !reflect.DeepEqual(got.config, want.config) {
			t.Errorf("%s: %+v\nwant %+v", extra, got.config, want.config)
		}
	}
	d, err := llamaFromGGUF(smolGGUF(map[string]any{"llama.attention.key_length": uint32(32), "llama.attention.value_length": uint32(32),
		"llama.rope.dimension_count": uint32(32), "llama.rope.scaling.type": "none", "llama.expert_count": uint32(0)},
		"blk.0.attn_q.bias", "blk.0.attn_output.bias", "blk.0.ffn_gate.bias", "output.weight"))
	if err != nil {
		t.Fatal(err)
	}
	if c := d.config; c.HeadDim != 32 || !c.QKVBias || !c.OutBias || !c.MLPBias || c.Tied {
		t.Errorf("GGUF options: %+v", c)
	}
}

func TestLlamaRefusesJSON(t *testing.T) {
	for extra, key := range map[string]string{
		`{"rope_scaling":"yarn"}`:                "rope_scaling",
		`{"rope_parameters":{"rope_theta":"x"}}`: "rope_parameters.rope_theta",
		`{"hidden_act":"gelu"}`:                  "hidden_act",
		`{"sliding_window":4096}`:                "sliding_window",
		`{"quantization_config":{"bits":4}}`:     "quantization_config.quant_method",
		`{"partial_rotary_factor":0.5}`:          "partial_rotary_factor",
		`{"num_hidden_layers":0}`:                "num_hidden_layers",
		`{"num_hidden_layers":1e9}`:              "num_hidden_layers",
		`{"num_hidden_layers":-1}`:               "num_hidden_layers",
		`{"num_hidden_layers":1.5}`:              "num_hidden_layers",
		`{"hidden_size":"big"}`:                  "hidden_size",
		`{"tie_word_embeddings":1}`:              "tie_word_embeddings",
		`{"num_key_value_heads":2}`:              "num_attention_heads",
		`{"head_dim":63}`:                        "head_dim",
		`{"rms_norm_eps":0}`:                     "rms_norm_eps",
		`{"rope_theta":1}`:                       "rope_theta",
		`{"vocab_size":null}`:                    "vocab_size",
	} {
		_, err := llamaFromJSON(jsonWith(t, extra))
		var config *ConfigError
		if !errors.As(err, &config) || config.Key != key || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v, want a ConfigError of %s", extra, err, key)
		}
	}
}

func TestLlamaRefusesGGUF(t *testing.T) {
	for key, value := range map[string]any{
		"llama.rope.scaling.type":                    "longrope",
		"llama.rope.scaling.finetuned":               true,
		"llama.attention.head_count_kv":              []int32{3, 3},
		"llama.attention.value_length":               uint32(32),
		"llama.rope.dimension_count":                 uint32(32),
		"llama.expert_count":                         uint32(8),
		"llama.attention.layer_norm_rms_epsilon":     "small",
		"llama.attention.sliding_window_pattern":     uint32(2),
		"llama.rope.scaling.original_context_length": uint32(2048),
		"llama.block_count":                          uint64(1 << 40),
	} {
		_, err := llamaFromGGUF(smolGGUF(map[string]any{key: value}))
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s = %v: got %v", key, value, err)
		}
	}
}

// TestPlans compares the plans of a small shape, without options, with every bias,
// and with normed heads, a window and yarn, with their golden text; -rewrite writes it anew.
func TestPlans(t *testing.T) {
	small := Config{Layers: 2, Hidden: 64, FFN: 96, Heads: 4, KVHeads: 2, HeadDim: 16, Vocab: 100, Context: 128,
		NormEps: 1e-5, RopeTheta: 10000, RopeKind: abi.RopeHalf, Tied: true}
	all := small
	all.RopeKind, all.QKVBias, all.OutBias, all.MLPBias, all.Tied = abi.RopePair, true, true, true, false
	normed := small
	normed.QKNorm, normed.Windows = true, []uint32{0, 32}
	normed.Scaling = RopeScaling{Kind: scaleYarn, Factor: 4, Original: 128, BetaFast: 32, BetaSlow: 1, Attn: 1.25}
	text := planText(decoderDesign(small, jsonNames)) + "\n" + planText(decoderDesign(all, ggufNames)) +
		"\n" + planText(decoderDesign(normed, jsonNames))
	const path = "testdata/plans.txt"
	if *rewrite {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("the plan has changed; look at the difference after -rewrite\n%s", text)
	}
}

// planText writes a design for people: what is not zero.
func planText(d *design) string {
	var b strings.Builder
	fmt.Fprintf(&b, "vocab %d, %d KV layers of %d x %d\n", d.plan.VocabSize, d.plan.KVLayers, d.plan.KVHeads, d.plan.HeadDim)
	for _, buffer := range d.plan.Buffers {
		fmt.Fprintf(&b, "buffer %d: width %d, sampled rows %v\n", buffer.ID, buffer.Width, buffer.SampledRows)
	}
	for _, table := range d.plan.RopeTables {
		fmt.Fprintf(&b, "rope %v, attention factor %v\n", table.InvFreq, table.AttentionFactor)
	}
	for _, op := range d.plan.Ops {
		text, _ := json.Marshal(op)
		var fields map[string]any
		json.Unmarshal(text, &fields)
		maps.DeleteFunc(fields, func(_ string, v any) bool { return v == 0.0 || v == "" || v == false || fmt.Sprint(v) == "[0 0 0]" })
		text, _ = json.Marshal(fields)
		fmt.Fprintf(&b, "op %s\n", text)
	}
	for _, p := range d.parts {
		fmt.Fprintf(&b, "weight %s[%d] = %s, %d x %d\n", p.name, p.part, p.source, p.rows, p.cols)
	}
	return b.String()
}
