package jinja

import (
	"fmt"
	"math"
	"sort"
)

// Value is one template value: [None], [Bool], [Int], [BigInt], [Float],
// [String], [*List], [*Tuple], [*Dict], [*Undefined], or one of the
// interpreter's own objects (namespace, macro, method, loop, range, view,
// generator). Values do not change once a rendering has begun, so that several
// renderings may share them.
type Value interface {
	// typeName is Python's name of the type, as its error messages print it.
	typeName() string
}

// None is Python's None, JSON's null.
type None struct{}

// Bool is a truth value; in arithmetic it counts as 0 or 1.
type Bool bool

// Int is an integer of up to 64 bits; larger ones are [BigInt].
type Int int64

// Float is a floating-point number.
type Float float64

func (None) typeName() string  { return "NoneType" }
func (Bool) typeName() string  { return "bool" }
func (Int) typeName() string   { return "int" }
func (Float) typeName() string { return "float" }

// Of turns a plain Go value into a Value: nil, bool, integers, floats, strings
// (untrusted), []any, map[string]any (keys sorted) and Values themselves.
func Of(v any) (Value, error) {
	return of(v, 0)
}

func of(v any, depth int) (Value, error) {
	if depth > maxValueDepth {
		return nil, &LimitError{What: "levels of nesting", Limit: maxValueDepth}
	}
	switch v := v.(type) {
	case nil:
		return None{}, nil
	case Value:
		return v, nil
	case bool:
		return Bool(v), nil
	case int:
		return Int(v), nil
	case int64:
		return Int(v), nil
	case float64:
		return Float(v), nil
	case string:
		return Untrusted(v), nil
	case []any:
		return listOf(v, depth)
	case map[string]any:
		return dictOf(v, depth)
	}
	return nil, fmt.Errorf("jinja: no template value for Go type %T", v)
}

func listOf(items []any, depth int) (Value, error) {
	list := &List{items: make([]Value, len(items))}
	for i, item := range items {
		v, err := of(item, depth+1)
		if err != nil {
			return nil, err
		}
		list.items[i] = v
	}
	return list, nil
}

func dictOf(fields map[string]any, depth int) (Value, error) {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	dict := NewDict()
	for _, key := range keys {
		v, err := of(fields[key], depth+1)
		if err != nil {
			return nil, err
		}
		dict.Set(key, v)
	}
	return dict, nil
}

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case None, *Undefined:
		return false
	case Bool:
		return bool(v)
	case Int:
		return v != 0
	case Float:
		return v != 0
	case String:
		return v.text != ""
	}
	if n, ok := length(v); ok {
		return n > 0
	}
	return true
}

// index reads an integer argument such as a width or a position; numbers
// beyond the machine's range are cut to it.
func index(v Value) (int, error) {
	switch v := v.(type) {
	case Bool:
		return int(asInt(v)), nil
	case Int:
		return int(v), nil
	case BigInt:
		if v.n.Sign() < 0 {
			return math.MinInt, nil
		}
		return math.MaxInt, nil
	case *Undefined:
		return 0, v.fail()
	}
	return 0, typeError("'%s' object cannot be interpreted as an integer", v.typeName())
}
