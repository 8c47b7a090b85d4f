package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/model"
)

// module is a line of modules.json.
func module(path, kind string) string {
	return `{"idx":0,"name":"0","path":"` + path + `","type":"sentence_transformers.models.` + kind + `"}`
}

// TestPooling reads what sentence-transformers writes beside a model, and refuses by
// name what would give other vectors.
func TestPooling(t *testing.T) {
	three := "[" + module("", "Transformer") + "," + module("1_Pooling", "Pooling") + "," + module("2_Normalize", "Normalize") + "]"
	two := "[" + module("", "Transformer") + "," + module("1_Pooling", "Pooling") + "]"
	const lastOnly = `{"word_embedding_dimension":64,"pooling_mode_mean_tokens":false,"pooling_mode_lasttoken":true,"include_prompt":true}`
	for _, c := range []struct {
		modules, pooling string // "": no such file
		want             string // what is recorded, or what the error says
		bad              bool
	}{
		{"", "", "", false},
		{three, lastOnly, "last", false},
		{three, `{}`, "mean", false},
		{two, `{"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true,"pooling_mode_max_tokens":false}`, "mean, not normalised", false},
		{two, lastOnly, "last, not normalised", false},
		{"", lastOnly, "last", false},
		{three, `{"embedding_dimension":64,"pooling_mode":"lasttoken"}`, "last", false},
		{three, `{"pooling_mode":"Mean"}`, "mean", false},
		{strings.ReplaceAll(three, "1_Pooling", "pool"), "", "pool/config.json", true},
		{three, "", "1_Pooling/config.json", true},

		{three, `{"pooling_mode_mean_tokens":false,"pooling_mode_cls_token":true}`, "cls: not supported", true},
		{three, `{"pooling_mode_mean_tokens":false,"pooling_mode_max_tokens":true}`, "max: not supported", true},
		{three, `{"pooling_mode_mean_tokens":false,"pooling_mode_weightedmean_tokens":true}`, "weightedmean: not supported", true},
		{three, `{"pooling_mode_mean_tokens":false,"pooling_mode_mean_sqrt_len_tokens":true}`, "mean_sqrt_len_tokens: not supported", true},
		{three, `{"pooling_mode_lasttoken":true}`, "lasttoken and mean", true},
		{three, `{"pooling_mode":"cls"}`, "cls", true},
		{three, `{"pooling_mode_mean_tokens":false}`, "one mode must be on", true},
		{three, `{"pooling_mode_mean_tokens":1}`, "pooling_mode_mean_tokens", true},
		{three, `{"pooling_mode":["mean","cls"]}`, "pooling_mode", true},
		{three, `{"pooling_mode_new":true}`, "pooling_mode_new", true},
		{three, `{"word_embedding_dimension":63}`, "64", true},
		{three, `[]`, "1_Pooling/config.json", true},
		{strings.Replace(three, "Normalize", "Dense", 2), `{}`, `"Dense"`, true},
		{"[" + module("", "Transformer") + "]", `{}`, "type of the modules = Transformer", true},
		{strings.Replace(three, `"path":""`, `"path":"0_Transformer"`, 1), `{}`, "0_Transformer", true},
		{strings.Replace(three, "1_Pooling", "../up", 1), `{}`, "../up", true},
		{strings.Replace(three, "1_Pooling", "/etc", 1), `{}`, "/etc", true},
		{`{}`, `{}`, "modules.json", true},
		{`[7]`, `{}`, "modules.json", true},
		{`[]`, `{}`, "modules.json", true},
		{`[{"type":7}]`, `{}`, "modules.json", true},
	} {
		dir := copyTiny(t, func(string, map[string]any) {})
		put(t, dir, "modules.json", c.modules)
		put(t, dir, "1_Pooling/config.json", c.pooling)
		m, err := model.LoadMeta(dir)
		switch {
		case c.bad && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s %s: got %v, want an error that says %q", c.modules, c.pooling, err, c.want)
		case !c.bad && err != nil:
			t.Errorf("%s %s: %v", c.modules, c.pooling, err)
		case !c.bad && m.Config.Pooling.String() != c.want:
			t.Errorf("%s %s: %q, want %q", c.modules, c.pooling, m.Config.Pooling, c.want)
		}
	}
	dir := copyTiny(t, func(string, map[string]any) {})
	put(t, dir, "sentence_bert_config.json", `{"max_seq_length":512,"do_lower_case":true}`)
	if _, err := model.LoadMeta(dir); err == nil || !strings.Contains(err.Error(), "do_lower_case") {
		t.Errorf("texts in lower case: %v", err)
	}
}

// put writes a file below dir, unless its text is empty.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if text == "" {
		return
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNamedTemplates reads templates besides the default from each place that has them.
func TestNamedTemplates(t *testing.T) {
	named := func(pairs ...string) (list []any) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, map[string]any{"name": pairs[i], "template": pairs[i+1]})
		}
		return list
	}
	many := []string{}
	for i := range 17 {
		many = append(many, strings.Repeat("x", i+1), "X")
	}
	for _, c := range []struct {
		what   string
		config any
		file   string            // chat_template.jinja
		more   map[string]string // additional_chat_templates
		want   string            // as told gives it
		says   string            // of an error
	}{
		{what: "one", config: "A", want: "A"},
		{what: "a list", config: named("tool_use", "T", "default", "D", "rag", "R"), want: "D rag=R tool_use=T"},
		{what: "no default", config: named("tool_use", "T"), want: " tool_use=T"},
		{what: "one that does not parse", config: named("default", "D", "rag", "{% if %}"), want: "D rag!"},
		{what: "files", config: named("default", "D", "rag", "R"), file: "F", more: map[string]string{"tool_use.jinja": "T", "README.md": "x"}, want: "F tool_use=T"},
		{what: "files without a default", config: "A", more: map[string]string{"tool_use.jinja": "T"}, want: " tool_use=T"},
		{what: "a name twice", config: named("rag", "R", "rag", "S"), says: `"rag"`},
		{what: "too many", config: named(many...), says: "at most 16"},
		{what: "a long name", config: named(strings.Repeat("n", 65), "N"), says: "1 to 64 bytes"},
		{what: "a default that does not parse", config: named("default", "{% if %}"), says: "chat_template"},
		{what: "not texts", config: []any{map[string]any{"name": 1}}, says: "chat_template"},
	} {
		dir := copyTiny(t, func(file string, values map[string]any) {
			if file == "tokenizer_config.json" {
				values["chat_template"] = c.config
			}
		})
		put(t, dir, "chat_template.jinja", c.file)
		for name, text := range c.more {
			put(t, dir, "additional_chat_templates/"+name, text)
		}
		m, err := model.LoadMeta(dir)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want an error that says %q", c.what, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
		} else if got := told(m); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// told is the templates of a model in one line.
func told(m *model.Meta) (s string) {
	if m.Template != nil {
		s = m.Template.Source()
	}
	for _, t := range m.Templates {
		if s += " " + t.Name; t.Err != nil {
			s += "!"
		} else {
			s += "=" + t.Template.Source()
		}
	}
	return s
}
