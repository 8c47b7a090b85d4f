package jinja

// expr is a parsed expression.
type expr interface {
	eval(r *render, s *scope) (Value, error)
}

type (
	constant struct{ value Value }

	nameExpr struct {
		id   int
		name string
	}

	listExpr struct{ items []expr }

	tupleExpr struct{ items []expr }

	dictExpr struct{ pairs [][2]expr }

	notExpr struct{ of expr }

	andExpr struct{ left, right expr }

	orExpr struct{ left, right expr }

	unaryExpr struct {
		op string
		of expr
	}

	binaryExpr struct {
		op          string
		left, right expr
	}

	concatExpr struct{ parts []expr }

	compareExpr struct {
		first expr
		links []comparison
	}

	comparison struct {
		op    string
		right expr
	}

	// condExpr is value if test else other; other may be nil.
	condExpr struct {
		line               int
		test, value, other expr
	}

	// capturedExpr is the text of the block being captured.
	capturedExpr struct{}
)

func (e *constant) eval(*render, *scope) (Value, error) { return e.value, nil }

func (e *nameExpr) eval(r *render, s *scope) (Value, error) {
	v, passed := s.find(e.id)
	if v == nil {
		v = &Undefined{key: Text(e.name)}
	}
	return v, r.step(1 + passed/costBindings)
}

func (e *capturedExpr) eval(r *render, _ *scope) (Value, error) { return r.captured, nil }

// evalAll evaluates expressions in order.
func evalAll(r *render, s *scope, items []expr) ([]Value, error) {
	if len(items) == 0 {
		return nil, nil
	}
	values := make([]Value, len(items))
	for i, item := range items {
		v, err := item.eval(r, s)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, r.step(len(items))
}

func (e *listExpr) eval(r *render, s *scope) (Value, error) {
	items, err := evalAll(r, s, e.items)
	return &List{items: items}, err
}

func (e *tupleExpr) eval(r *render, s *scope) (Value, error) {
	items, err := evalAll(r, s, e.items)
	return &Tuple{items: items}, err
}

func (e *dictExpr) eval(r *render, s *scope) (Value, error) {
	d := NewDict()
	for _, pair := range e.pairs {
		key, err := pair[0].eval(r, s)
		if err != nil {
			return nil, err
		}
		value, err := pair[1].eval(r, s)
		if err != nil {
			return nil, err
		}
		hash, err := hashOf(key)
		if err != nil {
			return nil, err
		}
		d.put(hash, key, value)
	}
	return d, r.step(len(e.pairs))
}

func (e *notExpr) eval(r *render, s *scope) (Value, error) {
	v, err := e.of.eval(r, s)
	if err != nil {
		return nil, err
	}
	return Bool(!truth(v)), r.step(1)
}

func (e *andExpr) eval(r *render, s *scope) (Value, error) {
	left, err := e.left.eval(r, s)
	if err != nil || !truth(left) {
		return left, err
	}
	return e.right.eval(r, s)
}

func (e *orExpr) eval(r *render, s *scope) (Value, error) {
	left, err := e.left.eval(r, s)
	if err != nil || truth(left) {
		return left, err
	}
	return e.right.eval(r, s)
}

func (e *unaryExpr) eval(r *render, s *scope) (Value, error) {
	v, err := e.of.eval(r, s)
	if err != nil {
		return nil, err
	}
	return unary(e.op, v)
}

func (e *binaryExpr) eval(r *render, s *scope) (Value, error) {
	left, err := e.left.eval(r, s)
	if err != nil {
		return nil, err
	}
	right, err := e.right.eval(r, s)
	if err != nil {
		return nil, err
	}
	if err := r.step(1); err != nil {
		return nil, err
	}
	return r.binary(e.op, left, right)
}

func (e *concatExpr) eval(r *render, s *scope) (Value, error) {
	b := r.builder()
	for _, part := range e.parts {
		v, err := part.eval(r, s)
		if err != nil {
			return nil, err
		}
		text, err := r.str(v)
		if err != nil {
			return nil, err
		}
		b.add(text)
	}
	if err := r.step(len(e.parts) + b.buf.Len()/costBytes); err != nil {
		return nil, err
	}
	return b.value()
}

func (e *compareExpr) eval(r *render, s *scope) (Value, error) {
	left, err := e.first.eval(r, s)
	if err != nil {
		return nil, err
	}
	for _, link := range e.links {
		right, err := link.right.eval(r, s)
		if err != nil {
			return nil, err
		}
		if holds, err := r.holds(link.op, left, right); !holds || err != nil {
			return Bool(false), err
		}
		left = right
	}
	return Bool(true), nil
}

// holds is one comparison.
func (r *render) holds(op string, a, b Value) (bool, error) {
	switch op {
	case "==":
		return r.equal(a, b)
	case "!=":
		eq, err := r.equal(a, b)
		return !eq, err
	case "in":
		return r.contains(b, a)
	case "not in":
		in, err := r.contains(b, a)
		return !in, err
	}
	return r.compare(op, a, b)
}

func (e *condExpr) eval(r *render, s *scope) (Value, error) {
	test, err := e.test.eval(r, s)
	if err != nil {
		return nil, err
	}
	if truth(test) {
		return e.value.eval(r, s)
	}
	if e.other != nil {
		return e.other.eval(r, s)
	}
	return undefinedf("the inline if-expression on line %d evaluated to false and no else section was defined.", e.line), nil
}
