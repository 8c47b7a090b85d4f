package tokenizer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// tinyJSON is a tokenizer of the 256 bytes by value, "ab" and "<s>"; edit changes it.
func tinyJSON(t testing.TB, edit func(file, model map[string]any)) []byte {
	t.Helper()
	vocab := map[string]int32{"ab": 256}
	for b, r := range byteRunes {
		vocab[string(r)] = int32(b)
	}
	model := map[string]any{"type": "BPE", "vocab": vocab, "merges": []any{[]string{"a", "b"}}}
	file := map[string]any{
		"model":         model,
		"added_tokens":  []any{map[string]any{"id": 257, "content": "<s>", "special": true}},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false},
		"decoder":       map[string]any{"type": "ByteLevel"},
	}
	if edit != nil {
		edit(file, model)
	}
	b, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type object = map[string]any

func TestFromJSON(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(file, model object)
	}{
		{"as it is", nil},
		{"merge as a line", func(_, m object) { m["merges"] = []string{"a b"} }},
		{"no type", func(_, m object) { delete(m, "type") }},
		{"unknown token", func(_, m object) { m["unk_token"] = "<s>" }},
		{"no dropout", func(_, m object) { m["dropout"] = 0.0 }},
		{"digits", func(f, _ object) {
			f["pre_tokenizer"] = object{"type": "Sequence", "pretokenizers": []any{
				object{"type": "Digits"}, object{"type": "Digits", "individual_digits": true}, object{"type": "ByteLevel"},
			}}
		}},
		{"removed inverse", func(f, _ object) {
			f["pre_tokenizer"] = object{"type": "Sequence", "pretokenizers": []any{
				object{"type": "Split", "pattern": object{"Regex": gpt2Pattern2}, "behavior": "Removed", "invert": true},
				object{"type": "ByteLevel", "use_regex": false},
			}}
		}},
	} {
		tok, err := FromJSON(tinyJSON(t, c.edit))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := tok.Encode("ab1<s>", EncodeOptions{ParseSpecial: true, AddBOS: true}); !slices.Equal(got, []int32{256, '1', 257}) {
			t.Errorf("%s: ids %v", c.name, got)
		}
	}
}

func TestTemplate(t *testing.T) {
	tok, err := FromJSON(tinyJSON(t, func(f, _ object) { f["post_processor"] = template(true) }))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("ab", EncodeOptions{AddBOS: true}); tok.BOS() != 257 || !slices.Equal(got, []int32{257, 256}) {
		t.Errorf("BOS %d, ids %v, want 257 first", tok.BOS(), got)
	}
}

// template puts <s> before a text, or after it.
func template(before bool) object {
	single := []any{object{"SpecialToken": object{"id": "<s>"}}, object{"Sequence": object{"id": "A"}}}
	if !before {
		slices.Reverse(single)
	}
	return object{"type": "TemplateProcessing", "single": single, "special_tokens": object{"<s>": object{"ids": []int32{257}}}}
}

func TestFromJSONErrors(t *testing.T) {
	split := func(stages ...any) func(f, _ object) {
		return func(f, _ object) { f["pre_tokenizer"] = object{"type": "Sequence", "pretokenizers": stages} }
	}
	set := func(key string, value any) func(f, _ object) { return func(f, _ object) { f[key] = value } }
	model := func(key string, value any) func(_, m object) { return func(_, m object) { m[key] = value } }
	vocab := func(token string, id int64) func(_, m object) {
		return func(_, m object) {
			m["vocab"] = map[string]int64{"a": 0, "b": 1, "ab": 256, token: id}
		}
	}
	added := func(tokens ...any) func(f, _ object) { return set("added_tokens", tokens) }
	bytelevel := object{"type": "ByteLevel"}
	for _, c := range []struct {
		edit func(file, model object)
		is   error
		says string
	}{
		{model("type", "Unigram"), ErrUnsupported, `model type "Unigram"`},
		{model("dropout", 0.1), ErrUnsupported, "dropout 0.1"},
		{model("continuing_subword_prefix", "##"), ErrUnsupported, `continuing_subword_prefix "##"`},
		{model("end_of_word_suffix", "</w>"), ErrUnsupported, `end_of_word_suffix "</w>"`},
		{model("byte_fallback", true), ErrUnsupported, `pre_tokenizer "ByteLevel" for a SentencePiece`},
		{func(_, m object) { delete(m["vocab"].(map[string]int32), "!"); m["unk_token"] = "<s>" }, ErrUnsupported, `unk_token "<s>" where byte 0x21`},
		{model("merges", []any{[]string{"a"}}), ErrFormat, "has 1 parts"},
		{model("merges", []any{[]int{1, 2}}), ErrFormat, "want a string"},
		{model("merges", []any{1}), ErrFormat, "want '['"},
		{model("merges", []string{"a  b"}), ErrFormat, `merge "a  b"`},
		{model("merges", []string{"b a"}), ErrFormat, `merge 0 ("b" "a")`},
		{vocab("x", -1), ErrFormat, `token "x" has id -1`},
		{vocab("x", 1<<30), ErrFormat, "outside 0 to 4194303"},
		{vocab("x", 1), ErrFormat, "share id 1"},
		{added(object{"id": 1 << 30, "content": "x"}), ErrFormat, `added token "x" has id 1073741824`},
		{added(object{"id": 300, "content": ""}), ErrFormat, "added token 300 is empty"},
		{added(object{"id": 300, "content": "ab"}), ErrFormat, `"ab" has id 300, the vocabulary says 256`},
		{added(object{"id": 256, "content": "new"}), ErrFormat, `tokens "ab" and "new" share id 256`},
		{added(object{"id": 300, "content": "new"}, object{"id": 301, "content": "new"}), ErrFormat, `"new" is given twice, with ids 300 and 301`},
		{set("normalizer", object{"type": "Lowercase"}), ErrUnsupported, `normalizer "Lowercase"`},
		{set("normalizer", object{"type": "Sequence", "normalizers": []any{object{"type": "NFKC"}}}), ErrUnsupported, `normalizer "NFKC"`},
		{set("pre_tokenizer", nil), ErrUnsupported, "without ByteLevel"},
		{set("pre_tokenizer", object{"type": "Metaspace"}), ErrUnsupported, `pre_tokenizer "Metaspace"`},
		{split(object{"type": "Whitespace"}, bytelevel), ErrUnsupported, `pre_tokenizer "Whitespace"`},
		{split(bytelevel, object{"type": "Digits"}), ErrUnsupported, "ByteLevel must be last"},
		{split(object{"type": "ByteLevel", "add_prefix_space": true}), ErrUnsupported, "add_prefix_space"},
		{split(object{"type": "Split", "pattern": object{"String": " "}}, bytelevel), ErrUnsupported, "not a Regex"},
		{split(object{"type": "Split", "pattern": object{"Regex": `\w+`}}, bytelevel), ErrUnsupported, `Split regex "\\w+"`},
		{split(object{"type": "Split", "pattern": object{"Regex": gpt2Pattern}, "behavior": "Removed"}, bytelevel), ErrUnsupported, `behavior "Removed" with invert false`},
		{set("post_processor", object{"type": "BertProcessing"}), ErrUnsupported, `post_processor "BertProcessing"`},
		{func(f, _ object) { p := template(true); p["special_tokens"] = object{}; f["post_processor"] = p }, ErrFormat, `token "<s>" is not in special_tokens`},
		{func(f, _ object) { f["post_processor"] = template(true); delete(f, "added_tokens") }, ErrFormat, "id 257"},
		{set("decoder", object{"type": "WordPiece"}), ErrUnsupported, `decoder "WordPiece"`},
	} {
		_, err := FromJSON(tinyJSON(t, c.edit))
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v, want %v saying %q", err, c.is, c.says)
		}
	}
	if _, err := FromJSON([]byte("{")); !errors.Is(err, ErrFormat) {
		t.Errorf("half a file: error %v", err)
	}
}
