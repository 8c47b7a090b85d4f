package model_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// TestBothFormatsPlanTheSame holds the GGUF file of each architecture to its
// directory: the same operations, weights and shapes but for the order of rotation.
func TestBothFormatsPlanTheSame(t *testing.T) {
	all, err := golden.Architectures()
	if err != nil {
		t.Fatal(err)
	}
	both := 0
	for _, a := range all {
		dir, err := model.LoadMeta(a.Dir)
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		if a.GGUF == "" {
			continue
		}
		both++
		file, err := model.LoadMeta(a.GGUF)
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		if len(dir.Plan.Ops) != len(file.Plan.Ops) || len(dir.Weights) != len(file.Weights) || dir.Params != file.Params || dir.Context != file.Context {
			t.Errorf("%s: %d operations, %d weights of %d, context %d; GGUF: %d, %d of %d, %d", a.Name, len(dir.Plan.Ops), len(dir.Weights), dir.Params,
				dir.Context, len(file.Plan.Ops), len(file.Weights), file.Params, file.Context)
			continue
		}
		for i, op := range file.Plan.Ops {
			op.RopeKind = dir.Plan.Ops[i].RopeKind
			if op != dir.Plan.Ops[i] {
				t.Errorf("%s: operation %d is %+v, in GGUF %+v", a.Name, i, dir.Plan.Ops[i], op)
			}
		}
		for i, w := range file.Weights {
			if d := dir.Weights[i]; w.Name != d.Name || w.Part != d.Part || w.Rows != d.Rows || w.Cols != d.Cols || w.Bytes() == 0 {
				t.Errorf("%s: weight %+v, in GGUF %+v", a.Name, d, w)
			}
		}
	}
	if both < 7 {
		t.Errorf("only %d models in both formats", both)
	}
}

// TestDivisorsMustFit has a rope_freqs tensor for heads of another size.
func TestDivisorsMustFit(t *testing.T) {
	all, err := golden.Architectures()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Name != "llama3" {
			continue
		}
		raw, err := os.ReadFile(a.GGUF)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(raw, []byte("rope_freqs.weight")) + len("rope_freqs.weight") + 4 // past the number of dimensions
		if raw[at] != 8 {
			t.Fatalf("the dimension at %d is %d", at, raw[at])
		}
		raw[at] = 4
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := model.LoadMeta(path); err == nil || !strings.Contains(err.Error(), "shape of rope_freqs.weight = [4]: must be [8]") {
			t.Errorf("got %v", err)
		}
	}
}

// TestNeighboursAreRefused: a model under the name of another architecture has tensors
// too many or too few.
func TestNeighboursAreRefused(t *testing.T) {
	all, err := golden.Architectures()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		own, err := model.LoadMeta(a.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"} {
			if own.Arch == other || own.Arch == "MistralForCausalLM" && other == "LlamaForCausalLM" {
				continue
			}
			if _, err := model.LoadMeta(renamed(t, a.Dir, own.Arch, other)); err == nil {
				t.Errorf("%s loaded as %s", a.Name, other)
			}
		}
	}
}

// renamed is the directory under another architecture's name.
func renamed(t *testing.T, dir, from, to string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}
