package ref_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// tinyLimits are enough for the architectures' prompt.
var tinyLimits = abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 4, MaxPositions: 64, Pages: 1, Invariant: true}

func architectures(t *testing.T) []golden.Architecture {
	t.Helper()
	all, err := golden.Architectures()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 9 {
		t.Fatalf("only %d architectures", len(all))
	}
	return all
}

// logits runs the model at path over ids.
func logits(t *testing.T, path string, ids []int32) [][]float32 {
	t.Helper()
	e, _ := load(t, path, tinyLimits)
	out, err := (&golden.Driver{Backend: e}).Logits(ids)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestArchitectures compares every position's logits with transformers', from the
// Hugging Face directory and from the GGUF file.
func TestArchitectures(t *testing.T) {
	for _, a := range architectures(t) {
		t.Run(a.Name, func(t *testing.T) {
			for _, path := range []string{a.Dir, a.GGUF} {
				if path == "" {
					continue
				}
				far := golden.Distance(a.Logits, logits(t, path, a.IDs))
				t.Logf("%s, %s: at most %.2g away", filepath.Base(path), a.DType, far)
				if !(far <= 1e-3) {
					t.Errorf("%s: a logit is %v from transformers', at most 1e-3 is allowed", path, far)
				}
			}
		})
	}
}

// TestArchitectureOptionsMatter takes one option at a time from a configuration, or
// changes it: the logits must move, or the comparison above would not notice.
func TestArchitectureOptionsMatter(t *testing.T) {
	yarn := func(changes map[string]any) map[string]any {
		rope := map[string]any{"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 256,
			"attention_factor": 1.3, "beta_fast": 16.0, "beta_slow": 2.0, "truncate": false}
		maps.Copy(rope, changes)
		return map[string]any{"rope_parameters": rope}
	}
	changes := map[string][]map[string]any{
		"llama2":       {{"rms_norm_eps": 1e-2}, {"rope_parameters": map[string]any{"rope_theta": 9000.0}}},
		"llama3":       {{"rope_parameters": map[string]any{"rope_theta": 500000.0}}},
		"llama_linear": {{"rope_scaling": nil}, {"rope_theta": 900.0}, {"rope_scaling": map[string]any{"type": "linear", "factor": 3.9}}},
		"qwen2": {{"use_sliding_window": false, "layer_types": nil}, {"sliding_window": 9},
			{"layer_types": []string{"sliding_attention", "sliding_attention"}}, {"layer_types": nil, "max_window_layers": 0}},
		"qwen2_yarn": {{"rope_scaling": nil}, {"rope_scaling": map[string]any{"type": "yarn", "factor": 3.9, "original_max_position_embeddings": 256}}},
		"qwen3":      {{"rms_norm_eps": 1e-2}},
		"qwen3_yarn": {yarn(map[string]any{"attention_factor": nil}), yarn(map[string]any{"truncate": nil}), yarn(map[string]any{"beta_fast": nil}),
			yarn(map[string]any{"beta_slow": 1.9}), {"layer_types": []string{"full_attention", "sliding_attention"}}},
		"mistral":      {{"sliding_window": nil}, {"sliding_window": 7}},
		"mistral_wide": {{"rms_norm_eps": 1e-5}, {"sliding_window": 8}, {"rope_theta": 9000}},
	}
	for _, a := range architectures(t) {
		if len(changes[a.Name]) == 0 {
			t.Errorf("%s: no option is changed", a.Name)
		}
		for _, change := range changes[a.Name] {
			if far := golden.Distance(a.Logits, logits(t, changed(t, a.Dir, change), a.IDs)); !(far > 5e-3) {
				t.Errorf("%s with %v: the logits move by %v only", a.Name, change, far)
			}
		}
	}
}

// TestAbsentOptions leaves out what the configuration says anyway.
func TestAbsentOptions(t *testing.T) {
	for _, a := range architectures(t) {
		var changes map[string]any
		switch a.Name {
		case "qwen2": // layer_types follows from max_window_layers
			changes = map[string]any{"layer_types": nil, "max_window_layers": 1}
		case "llama2", "mistral": // the head's size follows from the hidden size
			changes = map[string]any{"head_dim": nil, "rope_theta": 10000, "rope_parameters": nil}
		default:
			continue
		}
		if far := golden.Distance(a.Logits, logits(t, changed(t, a.Dir, changes), a.IDs)); !(far <= 1e-3) {
			t.Errorf("%s with %v: a logit is %v from transformers'", a.Name, changes, far)
		}
	}
}

// changed is the directory with other values in its config.json.
func changed(t *testing.T, dir string, changes map[string]any) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	maps.Copy(config, changes)
	out := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(dir, e.Name()), filepath.Join(out, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(out, "config.json")); err != nil {
		t.Fatal(err)
	}
	text, _ = json.Marshal(config)
	if err := os.WriteFile(filepath.Join(out, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}
