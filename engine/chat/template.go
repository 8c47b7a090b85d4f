package chat

import (
	"strings"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// Segment is a run of rendered text of one origin: Trusted for the template's
// own text and the special tokens, not so for what came with the conversation.
type Segment = jinja.Segment

// Errors of this package, by where they come from.
type (
	// SyntaxError says why a template does not parse.
	SyntaxError = jinja.SyntaxError
	// TemplateError is the template's own refusal of a conversation, by
	// raise_exception.
	TemplateError = jinja.TemplateError
	// RuntimeError is a fault of the template on a conversation.
	RuntimeError = jinja.RuntimeError
	// LimitError names the bound a template or rendering ran into.
	LimitError = jinja.LimitError
	// JSONError says what is wrong with a JSON text, and where.
	JSONError = jinja.JSONError
)

// Template is a compiled chat template, safe for concurrent use.
type Template struct {
	source   string
	compiled *jinja.Template
}

// Named is a template that is used only where it is asked for.
type Named struct {
	Name     string
	Template *Template
	Err      error // why it does not parse; Template is nil then
}

// Parse compiles a template. It fails with a [*SyntaxError] or, for one that is
// too long or nested too deep, a [*LimitError].
func Parse(source string) (*Template, error) {
	compiled, err := jinja.Parse(source)
	if err != nil {
		return nil, err
	}
	return &Template{source: source, compiled: compiled}, nil
}

// Source is the text the template was compiled from.
func (t *Template) Source() string { return t.source }

// Reads tells whether the template mentions a variable by that name: one that it
// does not mention changes nothing.
func (t *Template) Reads(name string) bool { return t.compiled.Reads(name) }

// Render is the prompt of a conversation. It fails with an [*InputError], a
// [*TemplateError], a [*RuntimeError] or a [*LimitError].
func (t *Template) Render(in Input) (string, error) {
	segments, err := t.RenderSegments(in)
	if err != nil {
		return "", err
	}
	return join(segments), nil
}

// RenderSegments is Render cut where trusted and untrusted text meet. The texts
// of the segments joined are what Render returns.
func (t *Template) RenderSegments(in Input) ([]Segment, error) {
	vars, err := in.variables()
	if err != nil {
		return nil, err
	}
	opt := jinja.Options{Limits: in.limits(), Now: in.Now}
	if !in.ContinueFinalMessage {
		out, err := t.compiled.Render(vars, opt)
		return out.Segments(), err
	}
	final, err := t.tagFinal(vars)
	if err != nil {
		return nil, err
	}
	out, err := t.compiled.Render(vars, opt)
	if err != nil {
		return nil, err
	}
	return cutAtTag(out.Segments(), final)
}

// join is the text of segments.
func join(segments []Segment) string {
	var out strings.Builder
	for _, s := range segments {
		out.WriteString(s.Text)
	}
	return out.String()
}

// ParseOrderedJSON reads one JSON text for [Input]: objects keep the order of
// their keys, integers stay exact, every string is untrusted. It fails with a
// [*JSONError] on malformed text, invalid UTF-8, a key given twice, nesting beyond
// 128 levels, or more values than [jinja.MaxJSONValues] and [jinja.MaxJSONNodes]. The
// strings without escapes share the memory of a text that is given as a string.
func ParseOrderedJSON[T string | []byte](text T) (jinja.Value, error) {
	return jinja.ParseJSON(text)
}
