package jinja

// forStmt is {% for target in over if test %} body {% else %} other.
type forStmt struct {
	line   int
	loop   int // symbol of the name loop
	target target
	over   expr
	test   expr
	body   []stmt
	other  []stmt
}

// loop is the variable loop inside a for.
type loop struct {
	items []Value
	at    int
	seen  []Value // what changed() was last given
}

func (*loop) typeName() string { return "LoopContext" }

func (st *forStmt) exec(r *render, s *scope) (jump, error) {
	r.line = st.line
	items, err := spread(r, s, st.over)
	if err != nil {
		return jumpNone, err
	}
	if st.test != nil {
		if items, err = st.filter(r, s, items); err != nil {
			return jumpNone, err
		}
	}
	if len(items) == 0 {
		return run(r, s.child(), st.other)
	}
	return jumpNone, st.rounds(r, s, items)
}

// filter keeps the items for which the loop's test holds.
func (st *forStmt) filter(r *render, s *scope, items []Value) ([]Value, error) {
	inner := s.child()
	var kept []Value
	for _, item := range items {
		inner.reset()
		if err := st.target.assign(r, inner, item); err != nil {
			return nil, err
		}
		v, err := st.test.eval(r, inner)
		if err != nil {
			return nil, err
		}
		if truth(v) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

func (st *forStmt) rounds(r *render, s *scope, items []Value) error {
	l := &loop{items: items}
	for l.at = range items {
		inner := s.child() // of its own each round: a macro may keep it
		if err := st.target.assign(r, inner, items[l.at]); err != nil {
			return err
		}
		inner.put(st.loop, l)
		j, err := run(r, inner, st.body)
		if err != nil {
			return err
		}
		if j == jumpBreak {
			return nil
		}
	}
	return nil
}

// attribute is loop.name; nil if there is none.
func (l *loop) attribute(name string) Value {
	n := len(l.items)
	switch name {
	case "index":
		return Int(l.at + 1)
	case "index0":
		return Int(l.at)
	case "revindex":
		return Int(n - l.at)
	case "revindex0":
		return Int(n - l.at - 1)
	case "first":
		return Bool(l.at == 0)
	case "last":
		return Bool(l.at == n-1)
	case "length":
		return Int(n)
	case "depth": // counts the levels of recursive loops only
		return Int(1)
	case "depth0":
		return Int(0)
	case "previtem":
		return l.neighbour(-1, "there is no previous item")
	case "nextitem":
		return l.neighbour(1, "there is no next item")
	}
	return nil
}

func (l *loop) neighbour(step int, absent string) Value {
	if i := l.at + step; i >= 0 && i < len(l.items) {
		return l.items[i]
	}
	return &Undefined{message: absent}
}

// loopCycle is loop.cycle(a, b, ...): its arguments in turn.
func loopCycle(c *call) (Value, error) {
	if len(c.rest) == 0 {
		return nil, typeError("no items for cycling given")
	}
	return c.rest[c.args[0].(*loop).at%len(c.rest)], nil
}

// loopChanged is loop.changed(v): whether v differs from the call before.
func loopChanged(c *call) (Value, error) {
	l := c.args[0].(*loop)
	if l.seen != nil {
		eq, err := c.r.equal(&Tuple{items: l.seen}, &Tuple{items: c.rest})
		if err != nil || eq {
			return Bool(false), err
		}
	}
	l.seen = append([]Value{}, c.rest...)
	return Bool(true), nil
}
