package gateway

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/chat"
)

func parsed(t *testing.T, source string) *chat.Template {
	t.Helper()
	template, err := chat.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// TestTemplateChoice takes the template that is named, the one for tools, or the
// default, and says what there is where that cannot be.
func TestTemplateChoice(t *testing.T) {
	d, tools := parsed(t, "D"), chat.Named{Name: "tool_use", Template: parsed(t, "T")}
	broken := chat.Named{Name: "rag", Err: errors.New("line 1: no such filter")}
	for _, c := range []struct {
		model Model
		name  string
		tools bool
		want  string // the template's source, or what the error says
		param string // of an error
	}{
		{Model{Template: d}, "", false, "D", ""},
		{Model{Template: d}, "default", false, "D", ""},
		{Model{Template: d}, "", true, "D", ""},
		{Model{Template: d, Templates: []chat.Named{tools}}, "", false, "D", ""},
		{Model{Template: d, Templates: []chat.Named{tools}}, "", true, "T", ""},
		{Model{Template: d, Templates: []chat.Named{tools}}, "default", true, "D", ""},
		{Model{Template: d, Templates: []chat.Named{tools}}, "tool_use", false, "T", ""},
		{Model{Templates: []chat.Named{tools}}, "tool_use", false, "T", ""},
		{Model{Templates: []chat.Named{tools}}, "", false, "Say which one to use with this field: tool_use.", "chat_template"},
		{Model{Template: d, Templates: []chat.Named{tools}}, "rag", false, "Expected one of: default, tool_use.", "chat_template"},
		{Model{Template: d}, "x", false, "Expected one of: default.", "chat_template"},
		{Model{Template: d, Templates: []chat.Named{broken}}, "", false, "D", ""},
		{Model{Template: d, Templates: []chat.Named{broken}}, "rag", false, "no such filter", "chat_template"},
		{Model{}, "", false, "/v1/completions", "model"},
	} {
		got, err := c.model.template(c.name, c.tools)
		var refused *Error
		switch {
		case errors.As(err, &refused):
			if refused.Param != c.param || !strings.Contains(refused.Message, c.want) {
				t.Errorf("%q of %+v: %s: %v, want %s: %q", c.name, c.model, refused.Param, err, c.param, c.want)
			}
		case c.param != "" || err != nil || got.Source() != c.want:
			t.Errorf("%q of %+v: %v, %v; want %s", c.name, c.model, got, err, c.want)
		}
	}
}
