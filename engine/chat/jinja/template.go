package jinja

import (
	"slices"
	"time"
)

// Template is a parsed template. It is safe for concurrent use.
type Template struct {
	names []string // by symbol
	body  []stmt
}

// Parse compiles a template's source. What is wrong with it is told by a
// [*SyntaxError], or a [*LimitError] where it is too long or nested too deep.
func Parse(source string) (*Template, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, symbols: make(map[string]int)}
	body, _, err := p.body()
	if err != nil {
		return nil, err
	}
	return &Template{names: p.names, body: body}, nil
}

// Reads tells whether the template mentions a variable of its caller's by that name;
// the global functions are none.
func (t *Template) Reads(name string) bool {
	_, global := globals[name]
	return !global && slices.Contains(t.names, name)
}

// Options are what a rendering takes besides its variables.
type Options struct {
	Limits Limits    // zero fields mean those of DefaultLimits
	Now    time.Time // what strftime_now prints
}

// render is the state of one rendering.
type render struct {
	limits   Limits
	now      time.Time
	out      *builder
	captured String // text of the block that capturedExpr stands for
	line     int    // of the statement being run
	steps    int
	calls    int // macros being run
}

// Render runs the template on its variables. Their values must not change
// meanwhile. It fails with a [*TemplateError] where the template itself raises
// an exception, and with a [*RuntimeError] or [*LimitError] otherwise.
func (t *Template) Render(vars map[string]Value, opt Options) (String, error) {
	r := &render{limits: opt.Limits.orDefault(), now: opt.Now}
	r.out = r.builder()
	if _, err := run(r, t.root(vars), t.body); err != nil {
		return String{}, r.locate(err)
	}
	return r.out.string()
}

// root is the outermost scope: the variables over the global functions.
func (t *Template) root(vars map[string]Value) *scope {
	s := &scope{values: make([]Value, len(t.names))}
	for id, name := range t.names {
		if v, ok := vars[name]; ok {
			s.values[id] = v
		} else if g, ok := globals[name]; ok {
			s.values[id] = g
		}
	}
	return s
}

// locate adds the line to an error that has none.
func (r *render) locate(err error) error {
	if e, ok := err.(*RuntimeError); ok && e.Line == 0 {
		e.Line = r.line
	}
	return err
}

func (l Limits) orDefault() Limits {
	if l.Steps == 0 {
		l.Steps = DefaultLimits.Steps
	}
	if l.OutputBytes == 0 {
		l.OutputBytes = DefaultLimits.OutputBytes
	}
	return l
}
