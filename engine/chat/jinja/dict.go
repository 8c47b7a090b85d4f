package jinja

import "math"

// Dict is a mapping that keeps the order in which its keys were first set.
type Dict struct {
	entries []entry
	places  map[dictKey]int // place in entries; nil while the dict is small
}

type entry struct {
	hash  dictKey
	key   Value
	value Value
}

// dictKey is a key's identity: equal for keys that Python holds equal.
type dictKey struct {
	kind byte // s: text, i: number, f: float bits, n: None, x: text of a composite
	text string
	num  int64
}

// indexedLen is the size from which a dict keeps a hash index.
const indexedLen = 9

func (*Dict) typeName() string { return "dict" }

// NewDict is an empty dict.
func NewDict() *Dict { return &Dict{} }

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.entries) }

// Key is the i-th key, in order.
func (d *Dict) Key(i int) Value { return d.entries[i].key }

// At is the value of the i-th key, in order.
func (d *Dict) At(i int) Value { return d.entries[i].value }

// Get is the value of a text key.
func (d *Dict) Get(key string) (Value, bool) {
	return d.find(dictKey{kind: 's', text: key})
}

// Set gives an untrusted text key its value. Not while a rendering reads d.
func (d *Dict) Set(key string, value Value) {
	d.put(dictKey{kind: 's', text: key}, Untrusted(key), value)
}

// grow makes room for n keys in an empty dict.
func (d *Dict) grow(n int) {
	d.entries = make([]entry, 0, n)
	if n >= indexedLen {
		d.places = make(map[dictKey]int, n)
	}
}

// Clone is a copy that may be Set without changing d; values are shared.
func (d *Dict) Clone() *Dict {
	c := NewDict()
	for _, e := range d.entries {
		c.put(e.hash, e.key, e.value)
	}
	return c
}

func (d *Dict) find(hash dictKey) (Value, bool) {
	if i := d.place(hash); i >= 0 {
		return d.entries[i].value, true
	}
	return nil, false
}

func (d *Dict) place(hash dictKey) int {
	if d.places != nil {
		if i, ok := d.places[hash]; ok {
			return i
		}
		return -1
	}
	for i := range d.entries {
		if d.entries[i].hash == hash {
			return i
		}
	}
	return -1
}

func (d *Dict) put(hash dictKey, key, value Value) {
	if i := d.place(hash); i >= 0 {
		d.entries[i].value = value
		return
	}
	d.entries = append(d.entries, entry{hash, key, value})
	switch n := len(d.entries); {
	case d.places != nil:
		d.places[hash] = n - 1
	case n == indexedLen:
		d.places = make(map[dictKey]int, 2*n)
		for i, e := range d.entries {
			d.places[e.hash] = i
		}
	}
}

func (d *Dict) keys() []Value {
	keys := make([]Value, len(d.entries))
	for i, e := range d.entries {
		keys[i] = e.key
	}
	return keys
}

func (d *Dict) values() []Value {
	values := make([]Value, len(d.entries))
	for i, e := range d.entries {
		values[i] = e.value
	}
	return values
}

// pairs are the (key, value) tuples.
func (d *Dict) pairs() []Value {
	pairs := make([]Value, len(d.entries))
	for i, e := range d.entries {
		pairs[i] = &Tuple{items: []Value{e.key, e.value}}
	}
	return pairs
}

// hashOf is the identity of a dict key, or a TypeError for a list or dict.
func hashOf(v Value) (dictKey, error) {
	switch v := v.(type) {
	case String:
		return dictKey{kind: 's', text: v.text}, nil
	case Bool:
		return dictKey{kind: 'i', num: asInt(v)}, nil
	case Int:
		return dictKey{kind: 'i', num: int64(v)}, nil
	case Float:
		return hashFloat(float64(v)), nil
	case None:
		return dictKey{kind: 'n'}, nil
	case *List, *Dict:
		return dictKey{}, typeError("unhashable type: '%s'", v.typeName())
	}
	text, err := repr(v, 1<<16)
	return dictKey{kind: 'x', text: text.text}, err
}

func hashFloat(f float64) dictKey {
	if i := int64(f); float64(i) == f && math.Abs(f) < 1<<62 {
		return dictKey{kind: 'i', num: i}
	}
	return dictKey{kind: 'f', num: int64(math.Float64bits(f))}
}
