package gateway

import (
	"strings"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// Names of templates that mean something.
const (
	defaultTemplate = "default"
	toolTemplate    = "tool_use" // for requests with tools, where a model has it
	maxTemplateName = 64         // bytes
)

// isTemplateName accepts what can name a template of the model. A template's text is
// never taken from a request: it would say what is trusted and what is not.
func isTemplateName(v jinja.Value) bool {
	s, ok := v.(jinja.String)
	return ok && s.String() != "" && len(s.String()) <= maxTemplateName && !strings.ContainsAny(s.String(), "{}\n")
}

// template is the one that a request names, else the one for tools where there are
// some, else the model's default.
func (m *Model) template(name string, tools bool) (*chat.Template, error) {
	if name == "" && tools && m.named(toolTemplate) != nil {
		name = toolTemplate
	}
	if t := m.named(name); t != nil && t.Err != nil {
		return nil, unsupported("chat_template", "the template '%s' of '%s' does not parse: %s. Expected one of: %s.", name, m.Name, t.Err, m.templates())
	} else if t != nil {
		return t.Template, nil
	}
	switch {
	case m.templates() == "":
		return nil, bad("model", "the model '%s' has no chat template. Use /v1/completions.", m.Name)
	case name != "" && name != defaultTemplate:
		return nil, unsupported("chat_template", "the model '%s' has no template '%s', and templates are not taken from requests. Expected one of: %s.", m.Name, clip(name), m.templates())
	case m.Template == nil:
		return nil, bad("chat_template", "the model '%s' has no default template. Say which one to use with this field: %s.", m.Name, m.templates())
	}
	return m.Template, nil
}

func (m *Model) named(name string) *chat.Named {
	for i := range m.Templates {
		if m.Templates[i].Name == name {
			return &m.Templates[i]
		}
	}
	return nil
}

// templates lists the names that a request may give.
func (m *Model) templates() string {
	var names []string
	if m.Template != nil {
		names = append(names, defaultTemplate)
	}
	for _, t := range m.Templates {
		names = append(names, clip(t.Name))
	}
	return strings.Join(names, ", ")
}
