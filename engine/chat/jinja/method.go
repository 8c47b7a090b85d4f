package jinja

// Methods by the type that has them, filled by init of the files beside.
var (
	textMethods  = map[string]*builtin{}
	dictMethods  = map[string]*builtin{}
	listMethods  = map[string]*builtin{}
	tupleMethods = map[string]*builtin{}
	loopMethods  = map[string]*builtin{}
)

// forbid adds Python's methods that change their receiver, which templates
// must not call.
func forbid(methods map[string]*builtin, names ...string) map[string]*builtin {
	for _, name := range names {
		methods[name] = &builtin{name: name}
	}
	return methods
}

// attribute is of.name; nil if of has no such attribute.
func attribute(of Value, name string) Value {
	switch v := of.(type) {
	case String:
		return bind(of, textMethods[name])
	case *Dict:
		return bind(of, dictMethods[name])
	case *List:
		return bind(of, listMethods[name])
	case *Tuple:
		return bind(of, tupleMethods[name])
	case *Namespace:
		if attr, ok := v.attrs.Get(name); ok {
			return attr
		}
	case *loop:
		if attr := v.attribute(name); attr != nil {
			return attr
		}
		return bind(of, loopMethods[name])
	case *macro:
		return v.attribute(name)
	}
	return nil
}

// bind makes a method with its receiver; nil if there is no such method,
// and an unsafe attribute if it is a forbidden one.
func bind(self Value, fn *builtin) Value {
	if fn == nil {
		return nil
	}
	if fn.fn == nil {
		return unsafe(self, fn.name)
	}
	return &function{self: self, fn: fn}
}

func init() {
	loopMethods = table(
		define("cycle", "self *", loopCycle),
		define("changed", "self *", loopChanged),
	)
	dictMethods = forbid(table(
		define("keys", "self", func(c *call) (Value, error) {
			return &View{kind: "dict_keys", items: c.dict().keys()}, c.r.step(c.dict().Len())
		}),
		define("values", "self", func(c *call) (Value, error) {
			return &View{kind: "dict_values", items: c.dict().values()}, c.r.step(c.dict().Len())
		}),
		define("items", "self", func(c *call) (Value, error) {
			return &View{kind: "dict_items", items: c.dict().pairs()}, c.r.step(2 * c.dict().Len())
		}),
		define("get", "self key default?", dictGet),
		define("copy", "self", func(c *call) (Value, error) { return c.dict(), nil }),
	), "clear", "pop", "popitem", "setdefault", "update")
	tupleMethods = table(
		define("count", "self value", listCount),
		define("index", "self value", listIndex),
	)
	listMethods = forbid(table(
		define("count", "self value", listCount),
		define("index", "self value", listIndex),
		define("copy", "self", func(c *call) (Value, error) { return c.args[0], nil }),
	), "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort")
}

// dict is the receiver of a dict's method.
func (c *call) dict() *Dict { return c.args[0].(*Dict) }

func dictGet(c *call) (Value, error) {
	hash, err := hashOf(c.args[1])
	if err != nil {
		return nil, err
	}
	if v, ok := c.dict().find(hash); ok {
		return v, nil
	}
	if c.args[2] != nil {
		return c.args[2], nil
	}
	return None{}, nil
}

func listCount(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, item := range items {
		eq, err := c.r.equal(item, c.args[1])
		if err != nil {
			return nil, err
		}
		n += int(asInt(Bool(eq)))
	}
	return Int(n), nil
}

func listIndex(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if eq, err := c.r.equal(item, c.args[1]); eq || err != nil {
			return Int(i), err
		}
	}
	text, err := c.r.str(c.args[1])
	if err != nil {
		return nil, err
	}
	return nil, valueError("%s is not in list", text.text)
}

// attribute is macro.name; nil if there is none.
func (m *macro) attribute(name string) Value {
	switch name {
	case "name":
		return Text(m.name)
	case "arguments":
		params := &Tuple{}
		for _, p := range m.params {
			params.items = append(params.items, Text(p.name))
		}
		return params
	}
	return nil
}
