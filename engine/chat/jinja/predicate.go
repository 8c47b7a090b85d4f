package jinja

// tests by name: what can follow "is".
var tests map[string]*builtin

func init() {
	tests = table(
		glance(define("boolean", "value", isType(func(v Value) bool { _, ok := v.(Bool); return ok }))),
		glance(define("callable", "value", isType(isCallable))),
		glance(define("defined", "value", isType(func(v Value) bool { return !isUndefined(v) }))),
		define("divisibleby", "value num", testDivisible),
		glance(define("escaped", "value", isType(func(v Value) bool { s, ok := v.(String); return ok && s.safe }))),
		define("even", "value", parity(0)),
		glance(define("false", "value", isType(func(v Value) bool { return same(v, Bool(false)) }))),
		define("filter", "value", known(func() map[string]*builtin { return filters })),
		glance(define("float", "value", isType(func(v Value) bool { _, ok := v.(Float); return ok }))),
		glance(define("integer", "value", isType(isInteger))),
		glance(define("iterable", "value", isType(isIterable))),
		define("lower", "value", textTest(isLower)),
		glance(define("mapping", "value", isType(func(v Value) bool { _, ok := v.(*Dict); return ok }))),
		glance(define("none", "value", isType(func(v Value) bool { return same(v, None{}) }))),
		glance(define("number", "value", isType(func(v Value) bool { _, ok := numberOf(v); return ok }))),
		define("odd", "value", parity(1)),
		define("sameas", "value other", func(c *call) (Value, error) { return Bool(same(c.args[0], c.args[1])), nil }),
		glance(define("sequence", "value", isType(isSequence))),
		glance(define("string", "value", isType(func(v Value) bool { _, ok := v.(String); return ok }))),
		define("test", "value", known(func() map[string]*builtin { return tests })),
		glance(define("true", "value", isType(func(v Value) bool { return same(v, Bool(true)) }))),
		glance(define("undefined", "value", isType(isUndefined))),
		define("upper", "value", textTest(isUpper)),
	)
	for name, op := range map[string]string{
		"==": "==", "eq": "==", "equalto": "==", "!=": "!=", "ne": "!=",
		"<": "<", "lt": "<", "lessthan": "<", "<=": "<=", "le": "<=",
		">": ">", "gt": ">", "greaterthan": ">", ">=": ">=", "ge": ">=", "in": "in",
	} {
		tests[name] = define(name, "value other", comparisonTest(op))
	}
}

func isUndefined(v Value) bool { _, ok := v.(*Undefined); return ok }

func isCallable(v Value) bool {
	_, ok := v.(callable)
	return ok || isUndefined(v)
}

func isInteger(v Value) bool {
	switch v.(type) {
	case Int, BigInt:
		return true
	}
	return false
}

func isIterable(v Value) bool {
	switch v.(type) {
	case *Generator:
		return true
	case *loop:
		return false
	}
	_, ok := length(v)
	return ok
}

func isSequence(v Value) bool {
	switch v.(type) {
	case *View, *loop:
		return false
	}
	_, ok := length(v)
	return ok
}

func isType(is func(Value) bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) { return Bool(is(c.args[0])), nil }
}

func textTest(is func(string) bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		s, err := c.text(0)
		return Bool(is(s.text)), err
	}
}

func comparisonTest(op string) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		ok, err := c.r.holds(op, c.args[0], c.args[1])
		return Bool(ok), err
	}
}

// parity is even (0) or odd (1).
func parity(rest Int) func(c *call) (Value, error) {
	return func(c *call) (Value, error) { return c.modulo(Int(2), rest) }
}

func testDivisible(c *call) (Value, error) { return c.modulo(c.args[1], Int(0)) }

// modulo says whether the value leaves a rest when divided by by.
func (c *call) modulo(by, rest Value) (Value, error) {
	v, err := c.r.binary("%", c.args[0], by)
	if err != nil {
		return nil, err
	}
	eq, err := c.r.equal(v, rest)
	return Bool(eq), err
}

// known is the test whether a filter or test of a name exists.
func known(in func() map[string]*builtin) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		name, err := c.text(0)
		return Bool(in()[name.text] != nil), err
	}
}
