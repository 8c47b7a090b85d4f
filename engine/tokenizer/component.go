package tokenizer

import (
	"fmt"
	"maps"
)

// component is a stage of a tokenizer.json's pipeline. Each field that is read is
// struck off: one that is left over would be an option that is not honoured.
type component struct {
	stage  string // normalizer, pre_tokenizer, post_processor or decoder
	kind   string
	fields map[string]any
	err    error
}

// sequences are the fields under which each stage's Sequence lists its parts.
var sequences = map[string]string{
	"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors", "decoder": "decoders",
}

// stages is what stands under a stage's name, without the Sequences around it.
func (f *file) stages(stage string) ([]*component, error) {
	if f.components[stage] == nil {
		return nil, nil
	}
	return flatten(stage, f.components[stage])
}

func flatten(stage string, v any) ([]*component, error) {
	fields, ok := v.(map[string]any)
	kind, named := fields["type"].(string)
	if !ok || !named {
		return nil, malformed("%s %s is not an object with a type", stage, clip(v))
	}
	c := &component{stage: stage, kind: kind, fields: maps.Clone(fields)}
	delete(c.fields, "type")
	if kind != "Sequence" {
		return []*component{c}, nil
	}
	list := c.list(sequences[stage])
	if err := c.done(); err != nil {
		return nil, err
	}
	var all []*component
	for _, item := range list {
		parts, err := flatten(stage, item)
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	return all, nil
}

// take strikes a field off.
func (c *component) take(name string) (any, bool) {
	v, ok := c.fields[name]
	delete(c.fields, name)
	return v, ok && v != nil
}

func (c *component) wrong(name string, v any, want string) {
	if c.err == nil {
		c.err = malformed("%s %s %s is %s, want %s", c.stage, c.kind, name, clip(v), want)
	}
}

// field reads a field of a type, or absent where it is not there.
func field[T any](c *component, name string, absent T, want string) T {
	v, ok := c.take(name)
	if !ok {
		return absent
	}
	t, ok := v.(T)
	if !ok {
		c.wrong(name, v, want)
		return absent
	}
	return t
}

func (c *component) flag(name string, absent bool) bool {
	return field(c, name, absent, "true or false")
}

func (c *component) text(name, absent string) string { return field(c, name, absent, "a string") }

func (c *component) list(name string) []any { return field[[]any](c, name, nil, "a list") }

func (c *component) object(name string) map[string]any {
	return field[map[string]any](c, name, nil, "an object")
}

func (c *component) count(name string) int {
	v := field[float64](c, name, 0, "a number")
	if v < 0 || v > 1<<16 || v != float64(int(v)) {
		c.wrong(name, v, "a whole number from 0 to 65536")
		return 0
	}
	return int(v)
}

// ignore strikes off fields that change offsets only.
func (c *component) ignore(names ...string) {
	for _, name := range names {
		c.take(name)
	}
}

// pattern reads {"String": ...} or {"Regex": ...}.
func (c *component) pattern() (text string, regex bool) {
	p := c.object("pattern")
	if len(p) == 1 {
		if s, ok := p["String"].(string); ok && s != "" {
			return s, false
		}
		if s, ok := p["Regex"].(string); ok {
			return s, true
		}
	}
	c.wrong("pattern", p, `{"String": text} or {"Regex": expression}`)
	return "", false
}

// done says what was wrong with the fields, or which one is left.
func (c *component) done() error {
	if c.err != nil {
		return c.err
	}
	for name, v := range c.fields {
		return unsupported("%s %s with a field %.100q of %s", c.stage, c.kind, name, clip(v))
	}
	return nil
}

func (c *component) unsupported(format string, args ...any) error {
	return unsupported("%s %q: "+format, append([]any{c.stage, c.kind}, args...)...)
}

// clip is a value for an error, cut to what a line holds.
func clip(v any) string { return fmt.Sprintf("%.100s", fmt.Sprint(v)) }
