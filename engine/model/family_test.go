package model

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// fromText has an architecture read a configuration.
func fromText(t *testing.T, arch, text string) (*design, error) {
	t.Helper()
	c := &jsonConfig{}
	if err := json.Unmarshal([]byte(text), &c.values); err != nil {
		t.Fatal(err)
	}
	return fromJSON[arch](c)
}

// TestAbsentKeys: each architecture has its own values for keys a file leaves out.
func TestAbsentKeys(t *testing.T) {
	const text = `{"hidden_size":4096,"num_attention_heads":64,"intermediate_size":8192,"num_hidden_layers":2,"vocab_size":1000}`
	base := Config{Layers: 2, Hidden: 4096, FFN: 8192, Heads: 64, HeadDim: 64, Vocab: 1000, NormEps: 1e-6, RopeTheta: 10000, RopeKind: abi.RopeHalf}
	for arch, change := range map[string]func(*Config){
		"LlamaForCausalLM":   func(c *Config) { c.KVHeads, c.Context = 64, 2048 },
		"MistralForCausalLM": func(c *Config) { c.KVHeads, c.Context, c.Windows = 8, 131072, []uint32{4096, 4096} },
		"Qwen2ForCausalLM":   func(c *Config) { c.KVHeads, c.Context, c.QKVBias = 32, 32768, true },
		"Qwen3ForCausalLM":   func(c *Config) { c.KVHeads, c.Context, c.HeadDim, c.QKNorm = 32, 32768, 128, true },
	} {
		want := base
		change(&want)
		d, err := fromText(t, arch, text)
		if err != nil {
			t.Errorf("%s: %v", arch, err)
		} else if !reflect.DeepEqual(d.config, want) {
			t.Errorf("%s: %+v\nwant %+v", arch, d.config, want)
		}
	}
	null := `{"num_key_value_heads":null,"head_dim":null,"sliding_window":null,` + text[1:]
	for arch := range fromJSON {
		if d, err := fromText(t, arch, null); err != nil || d.config.KVHeads != 64 || d.config.HeadDim != 64 || d.config.Windows != nil {
			t.Errorf("%s with nulls: %v", arch, err)
		}
	}
}

// familyText is a configuration that every architecture takes.
const familyText = `{"hidden_size":64,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"intermediate_size":96,
"num_hidden_layers":4,"vocab_size":100,"max_position_embeddings":1024,"sliding_window":null`

func TestFamilyOptions(t *testing.T) {
	for _, c := range []struct {
		arch, extra string
		check       func(Config) bool
	}{
		{"Qwen2ForCausalLM", ``, func(c Config) bool { return c.QKVBias && !c.OutBias && !c.QKNorm && !c.Tied }},
		{"Qwen2ForCausalLM", `,"tie_word_embeddings":true`, func(c Config) bool { return c.Tied }},
		{"Qwen3ForCausalLM", ``, func(c Config) bool { return !c.QKVBias && !c.OutBias && c.QKNorm }},
		{"Qwen3ForCausalLM", `,"attention_bias":true`, func(c Config) bool { return c.QKVBias && c.OutBias }},
		{"MistralForCausalLM", `,"sliding_window":512`, func(c Config) bool { return slices.Equal(c.Windows, []uint32{512, 512, 512, 512}) }},
		{"MistralForCausalLM", `,"sliding_window":1024`, func(c Config) bool { return c.Windows == nil }},
		{"MistralForCausalLM", `,"attention_bias":false,"mlp_bias":false`, func(c Config) bool { return !c.QKVBias && c.Windows == nil }},
	} {
		d, err := fromText(t, c.arch, familyText+c.extra+"}")
		if err != nil {
			t.Errorf("%s%s: %v", c.arch, c.extra, err)
		} else if !c.check(d.config) {
			t.Errorf("%s%s: %+v", c.arch, c.extra, d.config)
		}
	}
}

// TestUnhonoured refuses each option by name and takes it at its neutral values.
func TestUnhonoured(t *testing.T) {
	with := func(key string, value any) string {
		text, _ := json.Marshal(map[string]any{key: value})
		return familyText + "," + string(text[1:])
	}
	for _, option := range unhonoured {
		for arch := range fromJSON {
			_, err := fromText(t, arch, with(option.key, 7.5))
			var config *ConfigError
			if !errors.As(err, &config) || config.Key != option.key {
				t.Errorf("%s %s: got %v", arch, option.key, err)
			}
			for _, neutral := range append(option.neutral, nil) {
				if _, err := fromText(t, arch, with(option.key, neutral)); err != nil {
					t.Errorf("%s %s = %v: %v", arch, option.key, neutral, err)
				}
			}
		}
	}
}

// TestLayerWindows checks which layers of Qwen have a window.
func TestLayerWindows(t *testing.T) {
	for extra, want := range map[string][]uint32{
		`"sliding_window":64`: nil,
		`"use_sliding_window":false,"sliding_window":64,"max_window_layers":0`:                nil,
		`"use_sliding_window":true,"sliding_window":64`:                                       nil, // from layer 28 on
		`"use_sliding_window":true,"sliding_window":64,"max_window_layers":3`:                 {0, 0, 0, 64},
		`"use_sliding_window":true,"sliding_window":64,"max_window_layers":0`:                 {64, 64, 64, 64},
		`"use_sliding_window":true,"sliding_window":null,"max_window_layers":0`:               nil,
		`"use_sliding_window":true,"sliding_window":2048,"max_window_layers":0`:               nil, // beyond the context
		`"layer_types":["full_attention","full_attention","full_attention","full_attention"]`: nil,
		`"use_sliding_window":true,"sliding_window":64,"max_window_layers":0,
			"layer_types":["full_attention","sliding_attention","full_attention","sliding_attention"]`: {0, 64, 0, 64},
	} {
		for _, arch := range []string{"Qwen2ForCausalLM", "Qwen3ForCausalLM"} {
			d, err := fromText(t, arch, familyText+","+extra+"}")
			if err != nil {
				t.Errorf("%s: %v", extra, err)
				continue
			}
			if !slices.Equal(d.config.Windows, want) {
				t.Errorf("%s: windows %v, want %v", extra, d.config.Windows, want)
			}
			for _, op := range d.plan.Ops {
				if op.Kind == abi.OpAttention && want != nil && op.Window != want[op.Layer] {
					t.Errorf("%s: layer %d of the plan has window %d", extra, op.Layer, op.Window)
				}
			}
		}
	}
}

// TestFamilyRefuses names what an architecture of the family does not honour.
func TestFamilyRefuses(t *testing.T) {
	for _, c := range []struct{ arch, extra, key string }{
		{"MistralForCausalLM", `"attention_bias":true`, "attention_bias"},
		{"MistralForCausalLM", `"mlp_bias":true`, "mlp_bias"},
		{"MistralForCausalLM", `"sliding_window":0`, "sliding_window"},
		{"MistralForCausalLM", `"sliding_window":-1`, "sliding_window"},
		{"MistralForCausalLM", `"sliding_window":"all"`, "sliding_window"},
		{"MistralForCausalLM", `"layer_types":["full_attention"]`, "layer_types"},
		{"LlamaForCausalLM", `"layer_types":["full_attention"]`, "layer_types"},
		{"LlamaForCausalLM", `"original_max_position_embeddings":64`, "original_max_position_embeddings"},
		{"Qwen2ForCausalLM", `"mlp_bias":true`, "mlp_bias"},
		{"Qwen2ForCausalLM", `"use_mrope":true`, "use_mrope"},
		{"Qwen2ForCausalLM", `"num_experts":8`, "num_experts"},
		{"Qwen2ForCausalLM", `"dual_chunk_attention_config":{"chunk_size":64}`, "dual_chunk_attention_config"},
		{"Qwen2ForCausalLM", `"use_sliding_window":1`, "use_sliding_window"},
		{"Qwen2ForCausalLM", `"max_window_layers":-1,"use_sliding_window":true,"sliding_window":64`, "max_window_layers"},
		{"Qwen3ForCausalLM", `"mlp_bias":true`, "mlp_bias"},
		{"Qwen3ForCausalLM", `"hidden_act":"gelu"`, "hidden_act"},
		{"Qwen3ForCausalLM", `"layer_types":"full_attention"`, "layer_types"},
		{"Qwen3ForCausalLM", `"layer_types":["full_attention"]`, "layer_types"},
		{"Qwen3ForCausalLM", `"layer_types":["full_attention","full_attention","linear_attention","full_attention"]`, "layer_types[2]"},
		{"Qwen3ForCausalLM", `"layer_types":["full_attention","full_attention","full_attention",7]`, "layer_types[3]"},
		{"Qwen3ForCausalLM", `"layer_types":["sliding_attention","full_attention","full_attention","full_attention"]`, "layer_types[0]"},
		{"Qwen3ForCausalLM", `"num_hidden_layers":1e9,"use_sliding_window":true,"sliding_window":64,"max_window_layers":0`, "num_hidden_layers"},
	} {
		_, err := fromText(t, c.arch, familyText+","+c.extra+"}")
		var config *ConfigError
		if !errors.As(err, &config) || config.Key != c.key {
			t.Errorf("%s %s: got %v, want a ConfigError of %s", c.arch, c.extra, err, c.key)
		}
	}
}

// qwenGGUF is a small shape under a GGUF name.
func qwenGGUF(arch string, extra map[string]any) *ggufConfig {
	meta := map[string]any{
		"block_count": uint32(2), "context_length": uint32(1024), "embedding_length": uint32(64), "feed_forward_length": uint32(96),
		"attention.head_count": uint32(4), "attention.head_count_kv": uint32(2), "attention.key_length": uint32(32),
		"attention.value_length": uint32(32), "rope.freq_base": float32(1e6), "attention.layer_norm_rms_epsilon": float32(1e-6),
		"vocab_size": uint32(100),
	}
	maps.Copy(meta, extra)
	c := &ggufConfig{file: "m.gguf", prefix: arch + ".", meta: map[string]any{}, asked: map[string]bool{}}
	c.has = func(tensor string) bool { return tensor == "output.weight" }
	for key, value := range meta {
		c.meta[c.prefix+key] = value
	}
	return c
}

func TestFamilyGGUF(t *testing.T) {
	for arch, change := range map[string]func(*Config){
		"qwen2": func(c *Config) { c.QKVBias = true },
		"qwen3": func(c *Config) { c.QKNorm = true },
	} {
		want := Config{Layers: 2, Hidden: 64, FFN: 96, Heads: 4, KVHeads: 2, HeadDim: 32, Vocab: 100, Context: 1024,
			NormEps: 1e-6, RopeTheta: 1e6, RopeKind: abi.RopeHalf}
		change(&want)
		d, err := fromGGUF[arch](qwenGGUF(arch, nil))
		if err != nil {
			t.Errorf("%s: %v", arch, err)
		} else if !reflect.DeepEqual(d.config, want) {
			t.Errorf("%s: %+v\nwant %+v", arch, d.config, want)
		}
		for _, key := range []string{"attention.sliding_window", "expert_count", "pooling_type"} {
			if _, err := fromGGUF[arch](qwenGGUF(arch, map[string]any{key: uint32(8)})); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("%s %s: got %v", arch, key, err)
			}
		}
	}
	d, err := llamaFromGGUF(smolGGUF(map[string]any{"llama.attention.sliding_window": uint32(512)}))
	if err != nil || len(d.config.Windows) != 30 || d.config.Windows[29] != 512 {
		t.Errorf("a window in llama: %v", err)
	}
}

// TestGGUFOddValues puts values of every wrong type and size under each key: they are
// refused, or the plan holds together.
func TestGGUFOddValues(t *testing.T) {
	keys := []string{"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
		"attention.head_count_kv", "attention.key_length", "rope.freq_base", "rope.scaling.factor", "rope.scaling.type",
		"rope.scaling.original_context_length", "attention.layer_norm_rms_epsilon", "attention.sliding_window", "vocab_size"}
	odd := []any{"x", "yarn", true, int32(-1), uint8(0), uint64(1 << 63), int64(1 << 40), uint32(1<<32 - 1), int8(3), uint16(7), int16(-7),
		float32(math.NaN()), float32(math.Inf(1)), float32(-1), 1e308, 2.0, []int32{1}, []string{}}
	taken := 0
	for arch, read := range fromGGUF {
		for _, key := range keys {
			for _, value := range odd {
				if d, err := read(qwenGGUF(arch, map[string]any{key: value})); err == nil {
					checkDesign(t, arch, d)
					taken++
				} else if err.Error() == "" {
					t.Errorf("%s %s = %v: an error without words", arch, key, value)
				}
			}
		}
	}
	t.Logf("%d of %d taken", taken, len(fromGGUF)*len(keys)*len(odd))
}
