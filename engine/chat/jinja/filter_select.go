package jinja

import (
	"strconv"
	"strings"
)

// selectFilters are those that go over a sequence item by item.
func selectFilters() map[string]*builtin {
	return table(
		define("map", "value *", filterMap),
		define("select", "value *", selector(true, false)),
		define("reject", "value *", selector(false, false)),
		define("selectattr", "value *", selector(true, true)),
		define("rejectattr", "value *", selector(false, true)),
	)
}

// getter reads argument i as a path such as "function.name" and returns what
// it leads to in an item; the item itself where no path was given.
func (c *call) getter(i int, other Value) (func(item Value) (Value, error), error) {
	switch path := c.args[i].(type) {
	case nil, None:
		return func(item Value) (Value, error) { return item, nil }, nil
	default:
		return c.r.path(path, other)
	}
}

// path makes a getter; other, if not nil, stands in for what is undefined.
func (r *render) path(path, other Value) (func(item Value) (Value, error), error) {
	keys := []Value{path}
	if s, ok := path.(String); ok {
		keys = keys[:0]
		for _, part := range strings.Split(s.text, ".") {
			keys = append(keys, pathKey(part))
		}
	}
	return func(item Value) (Value, error) {
		for _, key := range keys {
			var err error
			if item, err = r.getitem(item, key); err != nil {
				return nil, err
			}
			if isUndefined(item) && other != nil {
				item = other
			}
		}
		return item, r.step(len(keys))
	}, nil
}

func pathKey(part string) Value {
	if n, err := strconv.Atoi(part); err == nil && n >= 0 {
		return Int(n)
	}
	return Text(part)
}

// filterMap is map(attribute=path, default=v) or map(filter, arguments).
func filterMap(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	change, err := c.mapper()
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, item := range items {
		if out[i], err = change(item); err != nil {
			return nil, err
		}
	}
	return &Generator{items: out}, nil
}

func (c *call) mapper() (func(item Value) (Value, error), error) {
	if len(c.rest) > 0 {
		return c.named("filter", filters, c.rest)
	}
	var path, other Value
	for _, arg := range c.kwargs {
		switch arg.name {
		case "attribute":
			path = arg.value
		case "default":
			other = arg.value
		default:
			return nil, &RuntimeError{Class: "FilterArgumentError", Message: "Unexpected keyword argument " + quote(arg.name)}
		}
	}
	if path == nil {
		return nil, &RuntimeError{Class: "FilterArgumentError", Message: "map requires a filter argument"}
	}
	return c.r.path(path, other)
}

// named is the filter or test whose name is rest[0], with the other arguments.
func (c *call) named(kind string, from map[string]*builtin, rest []Value) (func(item Value) (Value, error), error) {
	name, ok := rest[0].(String)
	b := from[name.text]
	if !ok || b == nil {
		return nil, noSuch(kind, name.text)
	}
	return func(item Value) (Value, error) {
		return b.invoke(c.r, append([]Value{item}, rest[1:]...), c.kwargs)
	}, nil
}

// selector is select, reject, selectattr or rejectattr.
func selector(keep, byAttribute bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		items, err := c.items(0)
		if err != nil {
			return nil, err
		}
		holds, err := c.condition(byAttribute)
		if err != nil {
			return nil, err
		}
		var kept []Value
		for _, item := range items {
			ok, err := holds(item)
			if err != nil {
				return nil, err
			}
			if ok == keep {
				kept = append(kept, item)
			}
		}
		return &Generator{items: kept}, nil
	}
}

// condition is the test that a selector's arguments describe.
func (c *call) condition(byAttribute bool) (func(item Value) (bool, error), error) {
	rest := c.rest
	get := func(item Value) (Value, error) { return item, nil }
	if byAttribute {
		if len(rest) == 0 {
			return nil, &RuntimeError{Class: "FilterArgumentError", Message: "Missing parameter for attribute name"}
		}
		var err error
		if get, err = c.r.path(rest[0], nil); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	check := func(v Value) (Value, error) { return v, nil }
	if len(rest) > 0 {
		var err error
		if check, err = c.named("test", tests, rest); err != nil {
			return nil, err
		}
	}
	return func(item Value) (bool, error) {
		v, err := get(item)
		if err != nil {
			return false, err
		}
		v, err = check(v)
		return err == nil && truth(v), err
	}, nil
}
