package gateway

import (
	"fmt"
	"math"
	"strings"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// object is a JSON object of the request, with its path for error messages. A
// field that is null counts as absent.
type object struct {
	dict *jinja.Dict
	path string // "" or "messages[0]."
}

// jsonType names a value's JSON type.
func jsonType(v jinja.Value) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case jinja.None:
		return "null"
	case jinja.Bool:
		return "a boolean"
	case jinja.Int, jinja.BigInt:
		return "an integer"
	case jinja.Float:
		return "a number"
	case jinja.String:
		return "a string"
	case *jinja.List:
		return "an array"
	}
	return "an object"
}

// checkCase refuses keys that differ from a known field in their case only:
// parsers disagree about those, and what is authorised must be what runs.
func (o object) checkCase(known map[string]bool) error {
	for i := range o.dict.Len() {
		key := o.dict.Key(i).(jinja.String).String()
		if lower := strings.ToLower(key); lower != key && known[lower] {
			return bad(o.path+key, "did you mean '%s'? Field names are case-sensitive.", lower)
		}
	}
	return nil
}

// get is a field's value; nil if it is absent or null.
func (o object) get(name string) jinja.Value {
	v, ok := o.dict.Get(name)
	if !ok {
		return nil
	}
	if _, null := v.(jinja.None); null {
		return nil
	}
	return v
}

func (o object) wrongType(name, want string) error {
	return wrongItem(o.path+name, want, o.get(name))
}

func wrongItem(path, want string, got jinja.Value) error {
	e := bad(path, "expected %s, but got %s instead.", want, shown(got))
	e.Code = "invalid_type"
	return e
}

// shown is a value as messages quote it: its type, and what it is if that is short.
func shown(v jinja.Value) string {
	switch v := v.(type) {
	case jinja.Bool:
		return fmt.Sprintf("%s (%t)", jsonType(v), bool(v))
	case jinja.Int:
		return fmt.Sprintf("%s (%d)", jsonType(v), int64(v))
	case jinja.Float:
		return fmt.Sprintf("%s (%g)", jsonType(v), float64(v))
	case jinja.BigInt:
		return fmt.Sprintf("%s (%g)", jsonType(v), v.Float())
	case jinja.String:
		return fmt.Sprintf("%s ('%s')", jsonType(v), clip(v.String()))
	case *jinja.List:
		return fmt.Sprintf("%s of %d", jsonType(v), v.Len())
	}
	return jsonType(v)
}

// text is a string field; "" if absent.
func (o object) text(name string) (string, error) {
	switch v := o.get(name).(type) {
	case nil:
		return "", nil
	case jinja.String:
		return v.String(), nil
	}
	return "", o.wrongType(name, "a string")
}

// short is a string field of at most so many bytes.
func (o object) short(name string, most int) (string, error) {
	s, err := o.text(name)
	if err == nil && len(s) > most {
		err = bad(o.path+name, "a string of %d bytes. Expected at most %d.", len(s), most)
	}
	return s, err
}

// flag is a boolean field; other if absent.
func (o object) flag(name string, other bool) (bool, error) {
	switch v := o.get(name).(type) {
	case nil:
		return other, nil
	case jinja.Bool:
		return bool(v), nil
	}
	return false, o.wrongType(name, "a boolean")
}

// integer is an integer field from low to high; nil if absent.
func (o object) integer(name string, low, high int64) (*int64, error) {
	v := o.get(name)
	if v == nil {
		return nil, nil
	}
	n, ok := integerOf(v)
	if big, is := v.(jinja.BigInt); is {
		return nil, bad(o.path+name, "integer out of range. Expected a value from %d to %d, but got %g instead.", low, high, big.Float())
	}
	if !ok {
		return nil, o.wrongType(name, "an integer")
	}
	if n < low || n > high {
		return nil, bad(o.path+name, "integer out of range. Expected a value from %d to %d, but got %d instead.", low, high, n)
	}
	return &n, nil
}

// integerOf reads an integer, written as 3 or as 3.0.
func integerOf(v jinja.Value) (int64, bool) {
	switch v := v.(type) {
	case jinja.Int:
		return int64(v), true
	case jinja.Float:
		f := float64(v)
		return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	return 0, false
}

// bounds are those of a number; open ones exclude the bound itself.
type bounds struct {
	low, high float64
	open      bool // low is excluded
}

// String says the bounds in words.
func (b bounds) String() string {
	from := "from"
	if b.open {
		from = "above"
	}
	return fmt.Sprintf("%s %g to %g", from, b.low, b.high)
}

// number is a field within bounds; nil if absent.
func (o object) number(name string, b bounds) (*float32, error) {
	v := o.get(name)
	if v == nil {
		return nil, nil
	}
	f, ok := numberOf(v)
	if !ok {
		return nil, o.wrongType(name, "a number")
	}
	if f < b.low || f > b.high || b.open && f == b.low {
		return nil, bad(o.path+name, "number out of range. Expected a value %s, but got %g instead.", b, f)
	}
	out := float32(f)
	return &out, nil
}

func numberOf(v jinja.Value) (float64, bool) {
	switch v := v.(type) {
	case jinja.Int:
		return float64(v), true
	case jinja.Float:
		return float64(v), true
	case jinja.BigInt:
		return v.Float(), true
	}
	return 0, false
}

// list is an array field; nil if absent.
func (o object) list(name string) ([]jinja.Value, error) {
	switch v := o.get(name).(type) {
	case nil:
		return nil, nil
	case *jinja.List:
		return v.Items(), nil
	}
	return nil, o.wrongType(name, "an array")
}

// object is an object field; nil if absent.
func (o object) object(name string) (*object, error) {
	switch v := o.get(name).(type) {
	case nil:
		return nil, nil
	case *jinja.Dict:
		return &object{dict: v, path: o.path + name + "."}, nil
	}
	return nil, o.wrongType(name, "an object")
}
