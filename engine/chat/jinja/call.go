package jinja

type (
	// arguments are what a call, filter or test is given.
	arguments struct {
		positional []expr
		named      []namedExpr
		star       expr // *args
		starstar   expr // **kwargs
	}

	namedExpr struct {
		name  string
		value expr
	}

	callExpr struct {
		line int
		of   expr
		args arguments
	}

	filterExpr struct {
		of     expr
		name   string
		filter *builtin // nil if there is none of this name
		args   arguments
	}

	testExpr struct {
		of   expr
		name string
		test *builtin // nil if there is none of this name
		args arguments
	}
)

// named is one keyword argument.
type named struct {
	name  string
	value Value
}

// callable is a value that can be called.
type callable interface {
	call(r *render, args []Value, kwargs []named) (Value, error)
}

// evaluate computes the arguments, with first in front if it is not nil.
func (a *arguments) evaluate(r *render, s *scope, first Value) ([]Value, []named, error) {
	args := make([]Value, 0, len(a.positional)+1)
	if first != nil {
		args = append(args, first)
	}
	for _, e := range a.positional {
		v, err := e.eval(r, s)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, v)
	}
	if a.star != nil {
		more, err := spread(r, s, a.star)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, more...)
	}
	kwargs, err := a.keywords(r, s)
	return args, kwargs, err
}

func spread(r *render, s *scope, e expr) ([]Value, error) {
	v, err := e.eval(r, s)
	if err != nil {
		return nil, err
	}
	return r.walk(v)
}

func (a *arguments) keywords(r *render, s *scope) ([]named, error) {
	var kwargs []named
	for _, e := range a.named {
		v, err := e.value.eval(r, s)
		if err != nil {
			return nil, err
		}
		kwargs = append(kwargs, named{e.name, v})
	}
	if a.starstar == nil {
		return kwargs, nil
	}
	v, err := a.starstar.eval(r, s)
	if err != nil {
		return nil, err
	}
	dict, ok := v.(*Dict)
	if !ok {
		return nil, typeError("argument after ** must be a mapping, not %s", v.typeName())
	}
	if err := r.step(dict.Len()); err != nil {
		return nil, err
	}
	for _, e := range dict.entries {
		name, ok := e.key.(String)
		if !ok {
			return nil, typeError("keywords must be strings")
		}
		kwargs = append(kwargs, named{name.text, e.value})
	}
	return kwargs, nil
}

func (e *callExpr) eval(r *render, s *scope) (Value, error) { return e.apply(r, s, nil) }

// apply calls, handing a call block's body over as caller.
func (e *callExpr) apply(r *render, s *scope, caller Value) (Value, error) {
	of, err := e.of.eval(r, s)
	if err != nil {
		return nil, err
	}
	args, kwargs, err := e.args.evaluate(r, s, nil)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		kwargs = append(kwargs, named{"caller", caller})
	}
	r.line = e.line
	return r.invoke(of, args, kwargs)
}

func (r *render) invoke(of Value, args []Value, kwargs []named) (Value, error) {
	if err := r.step(1); err != nil {
		return nil, err
	}
	switch of := of.(type) {
	case callable:
		return of.call(r, args, kwargs)
	case *Undefined:
		return nil, of.fail()
	}
	return nil, typeError("'%s' object is not callable", of.typeName())
}

func (e *filterExpr) eval(r *render, s *scope) (Value, error) {
	if e.filter == nil {
		return nil, noSuch("filter", e.name)
	}
	return applyBuiltin(r, s, e.filter, e.of, &e.args)
}

func (e *testExpr) eval(r *render, s *scope) (Value, error) {
	if e.test == nil {
		return nil, noSuch("test", e.name)
	}
	return applyBuiltin(r, s, e.test, e.of, &e.args)
}

func applyBuiltin(r *render, s *scope, b *builtin, of expr, a *arguments) (Value, error) {
	first, err := of.eval(r, s)
	if err != nil {
		return nil, err
	}
	args, kwargs, err := a.evaluate(r, s, first)
	if err != nil {
		return nil, err
	}
	return b.invoke(r, args, kwargs)
}

func noSuch(kind, name string) error {
	return &RuntimeError{Class: "TemplateRuntimeError", Message: "No " + kind + " named " + quote(name) + "."}
}
