package model_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// fp8 copies a checkpoint: config changes its quantization_config, and text in the file of
// weights is replaced by as long a text.
func fp8(t *testing.T, name string, config func(map[string]any), from, to string) string {
	t.Helper()
	all, err := golden.FP8()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, a := range all {
		if a.Name == name {
			if err := os.CopyFS(dir, os.DirFS(a.Dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	if config != nil {
		config(values["quantization_config"].(map[string]any))
	} else if from == "" {
		delete(values, "quantization_config")
	}
	text, _ = json.Marshal(values)
	file, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if from != "" && (len(from) != len(to) || !bytes.Contains(file, []byte(from))) {
		t.Fatalf("%q cannot become %q", from, to)
	}
	for to, b := range map[string][]byte{path: text, filepath.Join(dir, "model.safetensors"): bytes.Replace(file, []byte(from), []byte(to), 1)} {
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// group is the one group of a compressed-tensors configuration.
func group(c map[string]any) map[string]any {
	return c["config_groups"].(map[string]any)["group_0"].(map[string]any)
}

func TestFP8Weights(t *testing.T) {
	for name, want := range map[string]struct {
		matrices   int
		rows, cols uint32 // of the scales of down
		dtype      abi.DType
	}{
		"block": {6, 2, 2, abi.BF16}, "channel": {7, 136, 1, abi.BF16}, "channel_half": {6, 0, 0, 0}, "tensor": {7, 1, 1, abi.F32}, "compressed_block": {8, 2, 2, abi.F32},
	} {
		m, err := model.Load(fp8(t, name, func(map[string]any) {}, "", ""))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n, scales, bytes := 0, 0, uint64(0)
		for _, w := range m.Weights {
			if (w.DType == abi.E4M3) != (w.Scale != nil) {
				t.Errorf("%s: %s is %v with scale %v", name, w.Name, w.DType, w.Scale)
			}
			if w.Scale == nil {
				continue
			}
			n++
			if w.Name == "blk.0.down" && (w.Scale.Rows != want.rows || w.Scale.Cols != want.cols || w.Scale.DType != want.dtype) {
				t.Errorf("%s: scale %+v, want %+v", name, *w.Scale, want)
			}
		}
		for tensor, err := range m.Tensors() {
			if err != nil {
				t.Fatal(err)
			}
			if tensor.Component == abi.ComponentScale {
				scales++
			}
			bytes += uint64(len(tensor.Data))
		}
		if n != want.matrices || scales != n || bytes != m.FileBytes() || m.Quantisation() != "e4m3" {
			t.Errorf("%s: %d FP8 matrices, %d scales, %d bytes of %d, %s", name, n, scales, bytes, m.FileBytes(), m.Quantisation())
		}
		m.Close()
	}
}

// TestFP8Refuses names what is not read.
func TestFP8Refuses(t *testing.T) {
	set := func(key string, value any) func(map[string]any) {
		return func(c map[string]any) { c[key] = value }
	}
	of := func(what, key string, value any) func(map[string]any) {
		return func(c map[string]any) { group(c)[what].(map[string]any)[key] = value }
	}
	same := func(map[string]any) {}
	for _, c := range []struct {
		model, from, to string
		config          func(map[string]any)
		say             string
	}{
		{"block", "", "", nil, "must have its scales told by quantization_config"},
		{"block", "", "", set("quant_method", "awq"), "quantization_config.quant_method = awq: not supported; supported are fp8"},
		{"block", "", "", set("quant_method", "gptq"), "GGUF files for fewer bits"},
		{"block", "", "", set("fmt", "e5m2"), "quantization_config.fmt = e5m2"},
		{"block", "", "", set("activation_scheme", "odd"), "quantization_config.activation_scheme = odd"},
		{"block", "", "", set("weight_block_size", []int{64, 128}), "quantization_config.weight_block_size = [64 128]: must be [128 128]"},
		{"block", "", "", set("weight_block_size", "128"), "quantization_config.weight_block_size"},
		{"block", "", "", set("scale_fmt", "ue8m0"), "quantization_config.scale_fmt = ue8m0"},
		{"block", "", "", set("modules_to_not_convert", []string{"mlp.gate_proj"}), "mlp.gate_proj"},
		{"block", "", "", set("modules_to_not_convert", []any{7}), "quantization_config.modules_to_not_convert = 7"},
		{"block", "", "", set("modules_to_not_convert", "all"), "quantization_config.modules_to_not_convert = all"},
		{"block", "q_proj.weight_scale_inv", "q_proj.weight_scale_out", same, `q_proj.weight_scale_inv": no such tensor`},
		{"tensor", "", "", set("weight_block_size", []int{128, 128}), "weight_scale_inv"},
		{"tensor", "", "", set("activation_scheme", "dynamic"), "input_scale"},
		{"tensor", "", "", set("kv_cache_scheme", map[string]any{"num_bits": 8}), "quantization_config.kv_cache_scheme"},
		{"channel", "", "", set("format", "pack-quantized"), "quantization_config.format = pack-quantized"},
		{"channel", "", "", set("format", "int-quantized"), "quantization_config.format = int-quantized"},
		{"channel", "", "", set("ignore", []string{"re:.*up_proj$"}), "up_proj"},
		{"channel", "", "", set("ignore", []string{"re:("}), "quantization_config.ignore = re:("},
		{"channel", "", "", set("ignore", []string{"re:a{1000}"}), "no counted repetition"},
		{"channel", "", "", set("ignore", []string{"re:" + strings.Repeat("a", 300)}), "at most 256 bytes"},
		{"channel", "", "", set("ignore", slices.Repeat([]string{"re:a"}, 2000)), "at most 1024 names"},
		{"channel", "", "", set("config_groups", nil), "quantization_config.config_groups"},
		{"channel", "", "", set("sparsity_config", map[string]any{"format": "sparse-24-bitmask"}), "quantization_config.sparsity_config.format"},
		{"channel", "", "", set("transform_config", map[string]any{"a": 1}), "quantization_config.transform_config"},
		{"channel", "", "", of("weights", "num_bits", 4), "quantization_config.config_groups.group_0.weights.num_bits = 4"},
		{"channel", "", "", of("weights", "type", "int"), "weights.type = int"},
		{"channel", "", "", of("weights", "symmetric", false), "weights.symmetric = false"},
		{"channel", "", "", of("weights", "strategy", "group"), "weights.strategy = group"},
		{"channel", "", "", of("weights", "strategy", "tensor"), "must be [1 1]"},
		{"channel", "", "", of("weights", "strategy", "block"), "weights.block_structure"},
		{"channel", "", "", of("weights", "actorder", "group"), "weights.actorder = group"},
		{"channel", "", "", of("weights", "dynamic", true), "weights.dynamic = true"},
		{"channel", "", "", of("input_activations", "num_bits", 4), "input_activations.num_bits = 4"},
		{"channel", "", "", func(c map[string]any) { group(c)["weights"] = nil }, "group_0.weights"},
		{"channel", "", "", func(c map[string]any) { group(c)["output_activations"] = map[string]any{} }, "output_activations"},
		{"channel", `"BF16", "shape": [136, 1]`, `"BF16", "shape": [68, 2] `, same, "must be [136 1]"},
	} {
		_, err := model.LoadMeta(fp8(t, c.model, c.config, c.from, c.to))
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want it to name %q", c.model, err, c.say)
		}
	}
}

// TestFP8Reads takes what says the same otherwise.
func TestFP8Reads(t *testing.T) {
	for name, config := range map[string]func(map[string]any){
		"block": func(c map[string]any) {
			c["modules_to_not_convert"] = []string{"lm_head", "self_attn.o_proj", "model.layers.0.input_layernorm"}
		},
		"channel": func(c map[string]any) {
			c["ignore"], c["sparsity_config"], c["transform_config"] = []string{"re:lm_.*"}, map[string]any{}, map[string]any{}
		},
		"tensor": func(c map[string]any) { delete(c, "ignored_layers") },
		"compressed_block": func(c map[string]any) {
			group(c)["input_activations"], c["sparsity_config"] = nil, map[string]any{"format": "dense"}
		},
	} {
		if _, err := model.LoadMeta(fp8(t, name, config, "", "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestScalesMustBeFinite demands that a scale that would poison every answer is refused
// as it is read.
func TestScalesMustBeFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), -1, 1e31} {
		dir := fp8(t, "tensor", func(map[string]any) {}, "", "")
		file, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		const name = "model.layers.0.mlp.up_proj.weight_scale"
		info, _ := file.Info(name)
		file.Close()
		path := filepath.Join(dir, "model.safetensors")
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		bits := math.Float32bits(bad)
		if _, err := f.WriteAt([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)}, int64(info.Offset)); err != nil {
			t.Fatal(err)
		}
		f.Close()
		m, err := model.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		var failed error
		for _, err := range m.Tensors() {
			failed = err
		}
		var config *model.ConfigError
		if !errors.As(failed, &config) || !strings.Contains(failed.Error(), name) {
			t.Errorf("%v: %v", bad, failed)
		}
		m.Close()
	}
}
