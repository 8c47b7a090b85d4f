package jinja

// scope holds the variables of one block. The root scope is indexed by symbol;
// an inner one lists the few names set in it and falls back to its parent.
type scope struct {
	parent *scope
	values []Value   // of the root
	set    []binding // of an inner scope
	few    [3]binding
}

type binding struct {
	id    int
	value Value
}

// child is an empty scope inside s.
func (s *scope) child() *scope {
	c := &scope{parent: s}
	c.set = c.few[:0]
	return c
}

// get is the value of a symbol; nil if it has none.
func (s *scope) get(id int) Value {
	v, _ := s.find(id)
	return v
}

// find is get, and the names that it passed on the way.
func (s *scope) find(id int) (v Value, passed int) {
	for ; s.parent != nil; s = s.parent {
		for i := range s.set {
			if s.set[i].id == id {
				return s.set[i].value, passed + i
			}
		}
		passed += len(s.set) + 1
	}
	return s.values[id], passed
}

// put gives a symbol its value in this scope.
func (s *scope) put(id int, value Value) {
	if s.parent == nil {
		s.values[id] = value
		return
	}
	for i := range s.set {
		if s.set[i].id == id {
			s.set[i].value = value
			return
		}
	}
	s.set = append(s.set, binding{id, value})
}

// reset forgets what was set, keeping the space.
func (s *scope) reset() { s.set = s.set[:0] }

// target is what an assignment writes to.
type target interface {
	assign(r *render, s *scope, value Value) error
}

type nameTarget int

type tupleTarget []target

// attributeTarget is name.attr, name being a namespace.
type attributeTarget struct {
	id         int
	name, attr string
}

func (t nameTarget) assign(_ *render, s *scope, value Value) error {
	s.put(int(t), value)
	return nil
}

func (t tupleTarget) assign(r *render, s *scope, value Value) error {
	if !isIterable(value) {
		return typeError("cannot unpack non-iterable %s object", value.typeName())
	}
	items, err := r.walk(value)
	if err != nil {
		return err
	}
	if len(items) < len(t) {
		return valueError("not enough values to unpack (expected %d, got %d)", len(t), len(items))
	}
	if len(items) > len(t) {
		return valueError("too many values to unpack (expected %d)", len(t))
	}
	for i, item := range items {
		if err := t[i].assign(r, s, item); err != nil {
			return err
		}
	}
	return nil
}

func (t attributeTarget) assign(_ *render, s *scope, value Value) error {
	ns, ok := s.get(t.id).(*Namespace)
	if !ok {
		return &RuntimeError{Class: "TemplateRuntimeError", Message: "cannot assign attribute on non-namespace object"}
	}
	return ns.set(t.attr, value)
}
