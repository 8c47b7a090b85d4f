package jinja

import "strings"

// builtin is a filter, test, method or global function written in Go.
type builtin struct {
	name     string
	params   []param
	glance   bool // it does not look into its arguments, and is not charged for their size
	variadic bool // what has no parameter is handed over in call.rest and call.kwargs
	fn       func(c *call) (Value, error)
}

type param struct {
	name     string
	optional bool
}

// call is one invocation of a builtin.
type call struct {
	r      *render
	args   []Value // one per parameter; nil where an optional one was not given
	rest   []Value
	kwargs []named
}

// define makes a builtin of a signature such as "value chars? *": names, a ?
// behind the optional ones, * last if any more arguments are welcome.
func define(name, signature string, fn func(c *call) (Value, error)) *builtin {
	b := &builtin{name: name, fn: fn}
	for _, word := range strings.Fields(signature) {
		if word == "*" {
			b.variadic = true
			continue
		}
		bare := strings.TrimSuffix(word, "?")
		b.params = append(b.params, param{name: bare, optional: bare != word})
	}
	return b
}

// table indexes builtins by name.
func table(list ...*builtin) map[string]*builtin {
	t := make(map[string]*builtin, len(list))
	for _, b := range list {
		t[b.name] = b
	}
	return t
}

// invoke binds the arguments to the parameters and calls, charging for the
// values that go in and come out.
func (b *builtin) invoke(r *render, args []Value, kwargs []named) (Value, error) {
	c := &call{r: r, args: make([]Value, len(b.params))}
	n := copy(c.args, args)
	if n < len(args) {
		if !b.variadic {
			return nil, typeError("%s() takes at most %d arguments (%d given)", b.name, len(b.params), len(args))
		}
		c.rest = args[n:]
	}
	if err := b.bindNamed(c, kwargs); err != nil {
		return nil, err
	}
	for i, p := range b.params {
		if c.args[i] == nil && !p.optional {
			return nil, typeError("%s() missing a required argument: '%s'", b.name, p.name)
		}
	}
	if err := c.charge(b); err != nil {
		return nil, err
	}
	v, err := b.fn(c)
	if err != nil {
		return nil, err
	}
	return v, r.step(1 + size(v))
}

// charge is for the values that go in.
func (c *call) charge(b *builtin) error {
	if b.glance {
		return nil
	}
	if err := c.r.touch(c.args...); err != nil {
		return err
	}
	return c.r.touch(c.rest...)
}

// glance marks a builtin as one that costs the same whatever it is given.
func glance(b *builtin) *builtin {
	b.glance = true
	return b
}

func (b *builtin) bindNamed(c *call, kwargs []named) error {
	for _, arg := range kwargs {
		i := b.param(arg.name)
		switch {
		case i >= 0 && c.args[i] != nil:
			return typeError("%s() got multiple values for argument '%s'", b.name, arg.name)
		case i >= 0:
			c.args[i] = arg.value
		case b.variadic:
			c.kwargs = append(c.kwargs, arg)
		default:
			return typeError("%s() got an unexpected keyword argument '%s'", b.name, arg.name)
		}
	}
	return nil
}

func (b *builtin) param(name string) int {
	for i, p := range b.params {
		if p.name == name {
			return i
		}
	}
	return -1
}

// text is str(argument i); "" if it was not given.
func (c *call) text(i int) (String, error) {
	if c.args[i] == nil {
		return String{}, nil
	}
	return c.r.str(c.args[i])
}

// str is argument i, which must be a string where it was given.
func (c *call) str(i int) (String, error) {
	switch v := c.args[i].(type) {
	case nil:
		return String{}, nil
	case String:
		return v, nil
	case *Undefined:
		return String{}, v.fail()
	default:
		return String{}, typeError("must be str, not %s", v.typeName())
	}
}

// int is argument i, or other if it was not given.
func (c *call) int(i, other int) (int, error) {
	if c.args[i] == nil {
		return other, nil
	}
	return index(c.args[i])
}

// flag is the truth of argument i, or other if it was not given.
func (c *call) flag(i int, other bool) bool {
	if c.args[i] == nil {
		return other
	}
	return truth(c.args[i])
}

// items walks argument i.
func (c *call) items(i int) ([]Value, error) { return c.r.walk(c.args[i]) }

// function is a builtin as a value: a global, or a method with its receiver.
type function struct {
	self Value // nil for a global
	fn   *builtin
}

func (*function) typeName() string { return "builtin_function_or_method" }

func (f *function) call(r *render, args []Value, kwargs []named) (Value, error) {
	if f.self != nil {
		args = append([]Value{f.self}, args...)
	}
	return f.fn.invoke(r, args, kwargs)
}
