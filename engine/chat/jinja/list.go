package jinja

// List is a Python list. Templates read it and never change it.
type List struct{ items []Value }

// Tuple is a Python tuple.
type Tuple struct{ items []Value }

// NewList is a list of items, which it keeps.
func NewList(items ...Value) *List { return &List{items: items} }

// Items are the list's items; the caller must not change them once rendering
// has begun.
func (l *List) Items() []Value { return l.items }

// Len is the number of items.
func (l *List) Len() int { return len(l.items) }

// Generator is what map, select and their like return: it can be walked once.
type Generator struct{ items []Value }

// View is what a dict's keys, values and items methods return.
type View struct {
	kind  string // dict_keys, dict_values or dict_items
	items []Value
}

// Range is the result of range().
type Range struct{ start, stop, stride int }

func (*List) typeName() string      { return "list" }
func (*Tuple) typeName() string     { return "tuple" }
func (*Generator) typeName() string { return "generator" }
func (v *View) typeName() string    { return v.kind }
func (*Range) typeName() string     { return "range" }

// Len is the number of items of the range.
func (g *Range) Len() int {
	switch {
	case g.stride > 0 && g.start < g.stop:
		return (g.stop - g.start + g.stride - 1) / g.stride
	case g.stride < 0 && g.start > g.stop:
		return (g.start - g.stop - g.stride - 1) / -g.stride
	}
	return 0
}

func (g *Range) at(i int) Value { return Int(g.start + i*g.stride) }

func (g *Range) items() []Value {
	items := make([]Value, g.Len())
	for i := range items {
		items[i] = g.at(i)
	}
	return items
}

// length is Python's len(v); false if v has none.
func length(v Value) (int, bool) {
	switch v := v.(type) {
	case String:
		return v.runes(), true
	case *List:
		return len(v.items), true
	case *Tuple:
		return len(v.items), true
	case *Dict:
		return v.Len(), true
	case *View:
		return len(v.items), true
	case *Range:
		return v.Len(), true
	case *Undefined:
		return 0, true
	case *loop:
		return len(v.items), true
	}
	return 0, false
}

// iterate lists what a for loop over v sees. It empties a generator. The
// caller must not change the result.
func iterate(v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.items, nil
	case *Tuple:
		return v.items, nil
	case *Dict:
		return v.keys(), nil
	case String:
		return v.chars(), nil
	case *View:
		return v.items, nil
	case *Range:
		return v.items(), nil
	case *Undefined:
		return nil, nil
	case *Generator:
		items := v.items
		v.items = nil
		return items, nil
	}
	return nil, typeError("'%s' object is not iterable", v.typeName())
}

// walk is iterate, charged to the rendering.
func (r *render) walk(v Value) ([]Value, error) {
	if err := r.step(fresh(v)); err != nil {
		return nil, err
	}
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	return items, r.step(len(items) / costItems)
}
