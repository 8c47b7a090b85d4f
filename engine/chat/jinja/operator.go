package jinja

// sumExpr is a chain a + b + c, which templates build their text with.
type sumExpr struct{ terms []expr }

// eval adds from the left; a run of strings is joined at once.
func (e *sumExpr) eval(r *render, s *scope) (Value, error) {
	var few [8]String
	texts := few[:0]
	var total Value
	for i, term := range e.terms {
		v, err := term.eval(r, s)
		if err != nil {
			return nil, err
		}
		if text, ok := v.(String); ok && total == nil && !text.safe {
			texts = append(texts, text)
			continue
		}
		if i == 0 {
			total = v
			continue
		}
		if total == nil {
			if total, err = r.joined(texts); err != nil {
				return nil, err
			}
		}
		if total, err = r.binary("+", total, v); err != nil {
			return nil, err
		}
	}
	if total != nil {
		return total, r.step(len(e.terms))
	}
	return r.joined(texts)
}

// joined is the concatenation of strings, charged and bounded.
func (r *render) joined(texts []String) (Value, error) {
	size, marks := 0, 0
	for _, t := range texts {
		size += len(t.text)
		marks += len(t.taint)
	}
	if err := r.room(size); err != nil {
		return nil, err
	}
	b := builder{taint: make([]span, 0, marks), max: size}
	b.buf.Grow(size)
	for _, t := range texts {
		b.add(t)
	}
	if err := r.step(len(texts) + size/costBytes); err != nil {
		return nil, err
	}
	return b.value()
}

// binary applies an arithmetic operator as Python does.
func (r *render) binary(op string, a, b Value) (Value, error) {
	if s, ok := a.(String); ok && op == "%" {
		return r.percent(s, b)
	}
	if err := definedBoth(a, b); err != nil {
		return nil, err
	}
	x, xok := numberOf(a)
	y, yok := numberOf(b)
	switch {
	case xok && yok:
		if err := r.step(size(a) + size(b)); err != nil {
			return nil, err
		}
		return arithmetic(op, x, y)
	case op == "+":
		return r.plus(a, b)
	case op == "*" && yok:
		return r.times(a, b)
	case op == "*" && xok:
		return r.times(b, a)
	}
	return nil, unsupported(op, a, b)
}

func unsupported(op string, a, b Value) error {
	if op == "**" {
		op = "** or pow()"
	}
	return typeError("unsupported operand type(s) for %s: '%s' and '%s'", op, a.typeName(), b.typeName())
}

// plus joins two strings, lists or tuples.
func (r *render) plus(a, b Value) (Value, error) {
	if err := r.touch(a, b); err != nil {
		return nil, err
	}
	switch a := a.(type) {
	case String:
		if b, ok := b.(String); ok {
			return r.plusText(a, b)
		}
		return nil, typeError(`can only concatenate str (not "%s") to str`, b.typeName())
	case *List:
		if b, ok := b.(*List); ok {
			return &List{items: joinItems(a.items, b.items)}, nil
		}
		return nil, typeError(`can only concatenate list (not "%s") to list`, b.typeName())
	case *Tuple:
		if b, ok := b.(*Tuple); ok {
			return &Tuple{items: joinItems(a.items, b.items)}, nil
		}
		return nil, typeError(`can only concatenate tuple (not "%s") to tuple`, b.typeName())
	}
	return nil, unsupported("+", a, b)
}

func (r *render) plusText(a, b String) (Value, error) {
	if err := r.room(len(a.text) + len(b.text)); err != nil {
		return nil, err
	}
	if a.safe || b.safe {
		c := concat(escape(a), escape(b))
		c.safe = true
		return c, nil
	}
	return concat(a, b), nil
}

func joinItems(a, b []Value) []Value {
	items := make([]Value, 0, len(a)+len(b))
	return append(append(items, a...), b...)
}

// times repeats a string, list or tuple.
func (r *render) times(a, n Value) (Value, error) {
	if _, float := n.(Float); float {
		return nil, typeError("can't multiply sequence by non-int of type 'float'")
	}
	count, err := index(n)
	if err != nil {
		return nil, err
	}
	switch a := a.(type) {
	case String:
		b := r.builder()
		b.repeat(a, count)
		if err := r.step(b.buf.Len() / costBytes); err != nil {
			return nil, err
		}
		return b.value()
	case *List:
		items, err := r.repeatItems(a.items, count)
		return &List{items: items}, err
	case *Tuple:
		items, err := r.repeatItems(a.items, count)
		return &Tuple{items: items}, err
	}
	return nil, unsupported("*", a, n)
}

func (r *render) repeatItems(items []Value, count int) ([]Value, error) {
	if count <= 0 || len(items) == 0 {
		return nil, nil
	}
	if count > r.limits.Steps {
		return nil, &LimitError{What: "steps", Limit: r.limits.Steps}
	}
	if err := r.step(count * len(items) / costItems); err != nil {
		return nil, err
	}
	out := make([]Value, 0, count*len(items))
	for range count {
		out = append(out, items...)
	}
	return out, nil
}

// unary applies - or + to a number.
func unary(op string, v Value) (Value, error) {
	if u, ok := v.(*Undefined); ok {
		return nil, u.fail()
	}
	n, ok := numberOf(v)
	switch {
	case !ok:
		return nil, typeError("bad operand type for unary %s: '%s'", op, v.typeName())
	case op == "+":
		return arithmetic("+", number{kind: 'i'}, n)
	case n.kind == 'f':
		return Float(-n.f), nil
	}
	return arithmetic("-", number{kind: 'i'}, n)
}
