package model_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

func TestInspect(t *testing.T) {
	for _, c := range []struct {
		path, format, quantisation, key string
		config                          bool
	}{
		{tiny.Dir(), "safetensors", "BF16", "format", true},
		{filepath.Join(tiny.Dir(), "model.safetensors"), "safetensors", "BF16", "format", true},
		{tiny.GGUF(), "gguf", "Q8_0", "llama.block_count", false},
	} {
		i, err := model.Inspect(c.path)
		if err != nil || i.Problem != nil {
			t.Fatal(err, i.Problem)
		}
		if i.Format != c.format || i.Quantisation() != c.quantisation || (i.Config != nil) != c.config || len(i.Files) != 1 {
			t.Errorf("%s: %s, %s, config %v, files %v", c.path, i.Format, i.Quantisation(), i.Config != nil, i.Files)
		}
		if i.Params() != i.Meta.Params || i.Bytes() != i.Meta.FileBytes() || i.Metadata[c.key] == nil || i.Meta.Format != c.format {
			t.Errorf("%s: %d params, %d bytes, %v; meta: %d, %d", c.path, i.Params(), i.Bytes(), i.Metadata[c.key], i.Meta.Params, i.Meta.FileBytes())
		}
		if want := strings.ToLower(c.quantisation); i.Meta.Quantisation() != want {
			t.Errorf("%s: %s, want %s", c.path, i.Meta.Quantisation(), want)
		}
	}
}

// TestInspectTellsTheProblem: files that no engine runs are listed all the same.
func TestInspectTellsTheProblem(t *testing.T) {
	dir := copyTiny(t, func(file string, values map[string]any) {
		if file == "config.json" {
			values["architectures"] = []string{"MambaForCausalLM"}
		}
	})
	i, err := model.Inspect(dir)
	var unsupported *model.UnsupportedError
	if err != nil || !errors.As(i.Problem, &unsupported) || i.Meta != nil || i.Params() != 279104 || i.Config["vocab_size"] != 512.0 {
		t.Errorf("%+v, %v", i, err)
	}
	if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	if i, err := model.Inspect(dir); err != nil || !errors.Is(i.Problem, os.ErrNotExist) || i.Config != nil {
		t.Errorf("without config.json: %+v, %v", i, err)
	}
	if _, err := model.Inspect(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

// TestElementTypeIsNamed: a type without a decoder is refused with its tensor and what
// there is instead.
func TestElementTypeIsNamed(t *testing.T) {
	raw, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	name := []byte("blk.0.ffn_up.weight")
	at := strings.Index(string(raw), string(name)) + len(name) + 4 + 16
	if raw[at] != 8 {
		t.Fatalf("type %d at %d, want Q8_0", raw[at], at)
	}
	raw[at] = 20 // IQ4_NL: as many weights in a block, fewer bytes
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = model.LoadMeta(path)
	var unsupported *model.UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.Name != "IQ4_NL" || unsupported.Tensor != string(name) {
		t.Fatal(err)
	}
	for _, have := range []string{"F32", "BF16", "Q8_0", "Q5_1", "Q2_K", "Q6_K"} {
		if !strings.Contains(err.Error(), have) || !slices.Contains(weights.Types(), have) {
			t.Errorf("%s is not among those supported: %v", have, err)
		}
	}
}
