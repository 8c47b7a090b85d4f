package tokenizer

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// smolGGUF is SmolLM2's metadata, rebuilt from its tokenizer.json.
func smolGGUF(t *testing.T) map[string]any {
	t.Helper()
	var f struct {
		Added []struct{ ID int32 } `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int32
			Merges [][2]string
		}
	}
	if err := json.Unmarshal(definition(t, "smollm2"), &f); err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, len(f.Model.Vocab))
	types := make([]int32, len(tokens))
	for token, id := range f.Model.Vocab {
		tokens[id], types[id] = token, pieceNormal
	}
	for _, a := range f.Added {
		types[a.ID] = pieceControl
	}
	var merges []string
	for _, m := range f.Model.Merges {
		merges = append(merges, m[0]+" "+m[1])
	}
	return map[string]any{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm",
		"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": merges,
		"tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint64(2),
		"tokenizer.ggml.unknown_token_id": uint32(0), "tokenizer.ggml.add_bos_token": false,
	}
}

// TestFromGGUF: both files of one vocabulary give one tokenizer.
func TestFromGGUF(t *testing.T) {
	tok, err := FromGGUF(smolGGUF(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range goldenStrings(t) {
		for _, o := range []EncodeOptions{{}, {ParseSpecial: true}, {AddBOS: true}} {
			if got, want := tok.Encode(text, o), smol(t).Encode(text, o); !slices.Equal(got, want) {
				t.Fatalf("%+v %q: %v from GGUF, %v from JSON", o, text, got, want)
			}
		}
	}
	if tok.BOS() != 1 || tok.EOS() != 2 {
		t.Errorf("BOS %d and EOS %d, want 1 and 2", tok.BOS(), tok.EOS())
	}
}

// tinyGGUF has the 256 bytes, "ab" and two added tokens.
func tinyGGUF() map[string]any {
	var tokens []string
	for _, r := range byteRunes {
		tokens = append(tokens, string(r))
	}
	tokens = append(tokens, "ab", "<s>", "<think>")
	types := slices.Repeat([]int32{pieceNormal}, 259)
	types[257], types[258] = pieceControl, pieceUser
	return map[string]any{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens,
		"tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": []string{"a b"},
	}
}

func TestGGUFPre(t *testing.T) {
	for _, c := range []struct {
		fields map[string]any
		want   []int32
	}{
		{nil, []int32{256, 'c', 258, '<', 's', '>'}},
		{map[string]any{"pre": "gpt-2", "bos_token_id": uint32(257)}, []int32{256, 'c', 258, '<', 's', '>'}},
		{map[string]any{"pre": "llama-bpe", "bos_token_id": int32(257)}, []int32{257, 256, 'c', 258, '<', 's', '>'}},
		{map[string]any{"pre": "qwen2", "bos_token_id": uint32(257), "add_bos_token": true}, []int32{257, 256, 'c', 258, '<', 's', '>'}},
	} {
		m := tinyGGUF()
		for key, value := range c.fields {
			m["tokenizer.ggml."+key] = value
		}
		tok, err := FromGGUF(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode("abc<think><s>", EncodeOptions{AddBOS: true}); !slices.Equal(got, c.want) {
			t.Errorf("%v: ids %v, want %v", c.fields, got, c.want)
		}
	}
}

func TestFromGGUFErrors(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		is    error
		says  string
	}{
		{"model", "t5", ErrUnsupported, `tokenizer.ggml.model "t5"`},
		{"model", 7, ErrUnsupported, `tokenizer.ggml.model ""`},
		{"pre", "deepseek-v3", ErrUnsupported, `tokenizer.ggml.pre "deepseek-v3"`},
		{"tokens", nil, ErrFormat, "tokens has 0 strings"},
		{"tokens", []string{"a", "a"}, ErrFormat, "token_type has 259 values for 2 tokens"},
		{"merges", nil, ErrFormat, "merges is missing"},
		{"merges", []string{"ab"}, ErrFormat, `merge "ab"`},
		{"merges", []string{"a b c"}, ErrFormat, `merge "a b c"`},
		{"merges", []string{"b c"}, ErrFormat, `merge 0 ("b" "c")`},
		{"bos_token_id", uint32(259), ErrFormat, "id 259"},
		{"eos_token_id", uint64(1) << 40, ErrFormat, "outside the vocabulary of 259"},
		{"token_type", slices.Repeat([]int32{9}, 259), ErrFormat, "has type 9, outside 1 to 6"},
	} {
		m := maps.Clone(tinyGGUF())
		m["tokenizer.ggml."+c.key] = c.value
		_, err := FromGGUF(m)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s = %.40v: error %v, want %v saying %q", c.key, c.value, err, c.is, c.says)
		}
	}
	m := tinyGGUF()
	m["tokenizer.ggml.tokens"] = []string{"a", "a"}
	delete(m, "tokenizer.ggml.token_type")
	if _, err := FromGGUF(m); !errors.Is(err, ErrFormat) {
		t.Errorf("two equal tokens: error %v", err)
	}
}
