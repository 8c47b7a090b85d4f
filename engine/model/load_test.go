package model_test

import (
	"bytes"
	"encoding/binary"
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
	"github.com/nanofleet/nanofleet/testing/tiny"
)

func TestLoadTiny(t *testing.T) {
	for _, c := range []struct {
		path, arch, name string
		eos              []int32
	}{
		{tiny.Dir(), "LlamaForCausalLM", "model", []int32{2, 0}},
		{tiny.GGUF(), "llama", "tiny", []int32{2, 0}},
	} {
		m, err := model.Load(c.path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Arch != c.arch || m.Name != c.name || m.Params != 279104 || m.Context != tiny.Context {
			t.Errorf("%s: arch %s, name %s, %d params, context %d", c.path, m.Arch, m.Name, m.Params, m.Context)
		}
		if m.BOS != 1 || !slices.Equal(m.EOS, c.eos) || m.BOSText != "<|im_start|>" || m.EOSText != "<|im_end|>" {
			t.Errorf("%s: bos %d %q, eos %v %q", c.path, m.BOS, m.BOSText, m.EOS, m.EOSText)
		}
		if m.Template == nil || m.Tokenizer.VocabSize() != tiny.Vocab {
			t.Errorf("%s: template %v, %d tokens", c.path, m.Template, m.Tokenizer.VocabSize())
		}
		n := 0
		for tensor, err := range m.Tensors() {
			if err != nil {
				t.Fatal(err)
			}
			if want := int(tensor.Rows) * tensor.DType.RowBytes(int(tensor.Cols)); len(tensor.Data) != want {
				t.Errorf("%s: %d bytes, want %d", tensor.Name, len(tensor.Data), want)
			}
			n++
		}
		if n != len(m.Weights) || n != 1+4*9+1 {
			t.Errorf("%s: %d tensors of %d", c.path, n, len(m.Weights))
		}
	}
}

// TestBothFormatsAgree compares the decoded weights of the directory with those of
// the GGUF file: the same within Q8_0's rounding, in the same places of the plan
// save for the rotary order of q and k.
func TestBothFormatsAgree(t *testing.T) {
	decoded := func(path string) map[string][]float32 {
		m, err := model.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		out := map[string][]float32{}
		for tensor, err := range m.Tensors() {
			if err != nil {
				t.Fatal(err)
			}
			values := make([]float32, tensor.Rows*tensor.Cols)
			if err := weights.Dequantise(tensor.DType, tensor.Data, values); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(tensor.Name, ".qkv") || tensor.Part == 2 {
				out[tensor.Name+string(rune('0'+tensor.Part))] = values
			}
		}
		return out
	}
	a, b := decoded(tiny.Dir()), decoded(tiny.GGUF())
	if len(a) != len(b) {
		t.Fatalf("%d tensors and %d", len(a), len(b))
	}
	for name, values := range a {
		if cosine := golden.Cosine(values, b[name]); !(cosine > 0.999) {
			t.Errorf("%s: cosine %v", name, cosine)
		}
	}
}

func TestLoadMetaTakesOneGGUFOfADirectory(t *testing.T) {
	dir := t.TempDir()
	if _, err := model.LoadMeta(dir); err == nil {
		t.Error("an empty directory loaded")
	}
	for _, name := range []string{"a.gguf", "b.gguf"} {
		if err := os.Symlink(tiny.GGUF(), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		m, err := model.LoadMeta(dir)
		if name == "a.gguf" && (err != nil || m.Arch != "llama") {
			t.Errorf("one file: %v", err)
		}
		if name == "b.gguf" && err == nil {
			t.Error("a directory with two files loaded")
		}
	}
	if _, err := model.LoadMeta(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such path: %v", err)
	}
}

// copyTiny copies the directory and gives edit each JSON file's values to change.
func copyTiny(t *testing.T, edit func(file string, values map[string]any)) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(tiny.Dir(), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Name(), "onfig.json") {
			var values map[string]any
			if err := json.Unmarshal(text, &values); err != nil {
				t.Fatal(err)
			}
			edit(e.Name(), values)
			text, _ = json.Marshal(values)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDirectoryRefuses(t *testing.T) {
	for _, c := range []struct {
		file, key string
		value     any
		want      string
	}{
		{"config.json", "architectures", []string{"MambaForCausalLM"}, `unsupported architecture "MambaForCausalLM" (supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)`},
		{"config.json", "architectures", nil, "architectures"},
		{"config.json", "rope_scaling", map[string]any{"rope_type": "dynamic"}, "rope_scaling.rope_type = dynamic"},
		{"config.json", "num_hidden_layers", 3, `unsupported tensor "model.layers.3.`},
		{"config.json", "num_hidden_layers", 5, `"model.layers.4.`},
		{"config.json", "tie_word_embeddings", false, `"lm_head.weight": no such tensor`},
		{"config.json", "intermediate_size", 160, "must be [160 64]"},
		{"config.json", "attention_bias", true, `"model.layers.0.self_attn.q_proj.bias": no such tensor`},
		{"config.json", "eos_token_id", "x", "eos_token_id"},
		{"generation_config.json", "eos_token_id", []any{2, 512}, "eos_token_id"},
		{"generation_config.json", "bos_token_id", 600, "bos_token_id"},
		{"tokenizer_config.json", "chat_template", "{% if %}", "tokenizer_config.json"},
		{"tokenizer_config.json", "bos_token", 7, "tokenizer_config.json"},
	} {
		dir := copyTiny(t, func(file string, values map[string]any) {
			if file == c.file {
				values[c.key] = c.value
			}
		})
		if _, err := model.LoadMeta(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s = %v: got %v, want %q", c.file, c.key, c.value, err, c.want)
		}
	}
}

// TestVocabularyMustFit has a tokenizer with more tokens than the embedding has rows.
func TestVocabularyMustFit(t *testing.T) {
	dir := copyTiny(t, func(string, map[string]any) {})
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	more := `"added_tokens":[{"id":512,"content":"<|extra|>","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false},`
	edited := strings.Replace(string(text), `"added_tokens":[`, more, 1)
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := model.LoadMeta(dir); err == nil || !strings.Contains(err.Error(), "vocab_size") {
		t.Errorf("got %v", err)
	}
}

func TestTemplateSources(t *testing.T) {
	for _, c := range []struct {
		what, file string // file: chat_template.jinja's text
		template   any
		want       string
	}{
		{"a string", "", "A", "A"},
		{"a named list", "", []any{map[string]any{"name": "tool_use", "template": "T"}, map[string]any{"name": "default", "template": "D"}}, "D"},
		{"a file of its own", "J", "A", "J"},
		{"none", "", nil, ""},
	} {
		dir := copyTiny(t, func(file string, values map[string]any) {
			if file == "tokenizer_config.json" {
				values["chat_template"] = c.template
				values["bos_token"] = map[string]any{"content": "<s>"}
			}
		})
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := model.LoadMeta(dir)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		got := ""
		if m.Template != nil {
			got = m.Template.Source()
		}
		if got != c.want || m.BOSText != "<s>" {
			t.Errorf("%s: template %q, bos %q", c.what, got, m.BOSText)
		}
	}
}

func TestSpecialTokensFallBack(t *testing.T) {
	dir := copyTiny(t, func(file string, values map[string]any) {
		if file == "generation_config.json" {
			delete(values, "eos_token_id")
			delete(values, "bos_token_id")
		}
	})
	m, err := model.LoadMeta(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.BOS != 1 || !slices.Equal(m.EOS, []int32{2}) {
		t.Errorf("bos %d, eos %v: config.json says 1 and 2", m.BOS, m.EOS)
	}
}

func TestFootprint(t *testing.T) {
	m, err := model.LoadMeta(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	limits := abi.Limits{MaxSlots: 2, MaxRows: 2, MaxTokens: 10, MaxPositions: 100, Pages: 3}
	got, err := model.Footprint(m, limits, "ref")
	if err != nil {
		t.Fatal(err)
	}
	want := abi.Bytes{
		Weights:     279104 * 4,
		KV:          3 * 64 * (4*2*2*32*4 + 4), // pages, positions, layers x (K,V) x heads x dim x float32, token id
		Activations: 4 * (10*(64+64+256+128+192) + 2*(64+512)),
		Workspace:   10 * 100 * 4,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for kv, position := range map[abi.DType]uint64{0: 4*2*2*32*2 + 4, abi.BF16: 4*2*2*32*2 + 4, abi.E4M3: 4*2*2*(32+1) + 4} { // E4M3 has a scale
		limits.KVDType = kv
		if got, err := model.Footprint(m, limits, "cuda"); err != nil || got.KV != 3*64*position {
			t.Errorf("cuda, KV in %v: %d bytes, %v, want %d", kv, got.KV, err, 3*64*position)
		}
	}
	if _, err := model.Footprint(m, limits, "abacus"); err == nil || !strings.Contains(err.Error(), "abacus") {
		t.Errorf("unknown backend: %v", err)
	}
}

func TestRopeFrequencies(t *testing.T) {
	m, err := model.LoadMeta(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	table := m.Plan.RopeTables[0].InvFreq
	if len(table) != 16 || table[0] != 1 || math.Abs(float64(table[8])-0.01) > 1e-9 {
		t.Errorf("frequencies %v", table)
	}
}

// TestHeadlessNames reads a file that was saved without the prefix of the whole model.
func TestHeadlessNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tiny.Dir())); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.safetensors")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(file)
	header := bytes.ReplaceAll(file[8:8+size], []byte(`"model.`), []byte(`"`))
	header = append(header, bytes.Repeat([]byte(" "), int(size)-len(header))...)
	if err := os.WriteFile(path, slices.Concat(file[:8], header, file[8+size:]), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := model.LoadMeta(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := model.LoadMeta(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Weights) != len(want.Weights) || got.Params != want.Params || got.Weights[0].Source != "embed_tokens.weight" {
		t.Errorf("%d weights of %d parameters from %q, want %d of %d", len(got.Weights), got.Params, got.Weights[0].Source, len(want.Weights), want.Params)
	}
}
