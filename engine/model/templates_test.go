package model

import (
	"maps"
	"strings"
	"testing"
)

// TestGGUFTemplates finds named templates as llama.cpp's converter writes them.
func TestGGUFTemplates(t *testing.T) {
	for _, c := range []struct {
		meta map[string]any
		want templateSources
		says string
	}{
		{map[string]any{}, templateSources{}, ""},
		{map[string]any{"tokenizer.chat_template": "D"}, templateSources{"default": "D"}, ""},
		{map[string]any{"tokenizer.chat_template": "D", "tokenizer.chat_templates": []string{"rag"}, "tokenizer.chat_template.rag": "R"},
			templateSources{"default": "D", "rag": "R"}, ""},
		{map[string]any{"tokenizer.chat_template.tool_use": "T"}, templateSources{"tool_use": "T"}, ""},
		{map[string]any{"tokenizer.chat_template.default": "E"}, templateSources{"default": "E"}, ""},
		{map[string]any{"tokenizer.chat_template": "D", "tokenizer.chat_template.default": "E"}, templateSources{"default": "D"}, ""},
		{map[string]any{"tokenizer.chat_templates": []string{"rag"}}, nil, "tokenizer.chat_template.rag"},
		{map[string]any{"tokenizer.chat_template.rag": uint32(1)}, nil, "tokenizer.chat_template.rag"},
	} {
		got, err := ggufTemplates("x.gguf", c.meta)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v, want an error that says %q", c.meta, err, c.says)
			}
		} else if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%v: %v, %v; want %v", c.meta, got, err, c.want)
		}
	}
	if err := checkTextTypes("x.gguf", map[string]any{"tokenizer.chat_templates": "rag"}); err == nil {
		t.Error("a list that is a text")
	}
}
