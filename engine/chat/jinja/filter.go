package jinja

// filters by name. Filled by init, because some filters look others up.
var filters map[string]*builtin

func init() {
	filters = map[string]*builtin{}
	for _, t := range []map[string]*builtin{textFilters(), sequenceFilters(), selectFilters(), valueFilters()} {
		for name, b := range t {
			filters[name] = b
		}
	}
	for alias, name := range map[string]string{"d": "default", "e": "escape", "count": "length"} {
		filters[alias] = filters[name]
	}
}

// valueFilters are those for single values.
func valueFilters() map[string]*builtin {
	return table(
		define("abs", "value", filterAbs),
		define("attr", "value name", filterAttr),
		define("default", "value default_value? boolean?", filterDefault),
		define("float", "value default?", filterFloat),
		define("int", "value default? base?", filterInt),
		glance(define("length", "value", filterLength)),
		define("round", "value precision? method?", filterRound),
		define("tojson", "value ensure_ascii? indent? separators? sort_keys?", filterToJSON),
	)
}

func filterAbs(c *call) (Value, error) {
	if u, ok := c.args[0].(*Undefined); ok {
		return nil, u.fail()
	}
	n, ok := numberOf(c.args[0])
	if !ok {
		return nil, typeError("bad operand type for abs(): '%s'", c.args[0].typeName())
	}
	if compareNumbers(n, number{kind: 'i'}) < 0 {
		return unary("-", c.args[0])
	}
	return unary("+", c.args[0])
}

func filterAttr(c *call) (Value, error) {
	name, err := c.text(1)
	if err != nil {
		return nil, err
	}
	if u, ok := c.args[0].(*Undefined); ok {
		return nil, u.fail()
	}
	if v := attribute(c.args[0], name.text); v != nil {
		return v, nil
	}
	return undefinedKey(c.args[0], name), nil
}

func filterDefault(c *call) (Value, error) {
	if !isUndefined(c.args[0]) && (!c.flag(2, false) || truth(c.args[0])) {
		return c.args[0], nil
	}
	if c.args[1] == nil {
		return String{}, nil
	}
	return c.args[1], nil
}

func filterLength(c *call) (Value, error) {
	if s, ok := c.args[0].(String); ok { // whose code points are counted
		if err := c.r.touch(s); err != nil {
			return nil, err
		}
	}
	n, ok := length(c.args[0])
	if !ok {
		return nil, typeError("object of type '%s' has no len()", c.args[0].typeName())
	}
	return Int(n), nil
}
