package jinja

import (
	"math/big"
	"strings"
)

// equal is Python's a == b.
func (r *render) equal(a, b Value) (bool, error) { return r.equalAt(a, b, 0) }

func (r *render) equalAt(a, b Value, depth int) (bool, error) {
	if err := r.deeper(depth); err != nil {
		return false, err
	}
	if x, ok := numberOf(a); ok {
		y, ok := numberOf(b)
		return ok && compareNumbers(x, y) == 0, nil
	}
	switch a := a.(type) {
	case String:
		b, ok := b.(String)
		return ok && a.text == b.text, r.step(len(a.text) / costBytes)
	case None:
		_, ok := b.(None)
		return ok, nil
	case *Undefined:
		_, ok := b.(*Undefined)
		return ok, nil
	case *List:
		b, ok := b.(*List)
		return r.equalItems(ok, a.items, func() []Value { return b.items }, depth)
	case *Tuple:
		b, ok := b.(*Tuple)
		return r.equalItems(ok, a.items, func() []Value { return b.items }, depth)
	case *Range:
		b, ok := b.(*Range)
		return r.equalItems(ok, a.items(), func() []Value { return b.items() }, depth)
	case *Dict:
		b, ok := b.(*Dict)
		if !ok {
			return false, nil
		}
		return r.equalDicts(a, b, depth)
	}
	return same(a, b), nil
}

// deeper charges one step for a nested value and bounds the nesting.
func (r *render) deeper(depth int) error {
	if depth > maxValueDepth {
		return &LimitError{What: "levels of nesting", Limit: maxValueDepth}
	}
	return r.step(1)
}

func (r *render) equalItems(comparable bool, a []Value, other func() []Value, depth int) (bool, error) {
	if !comparable {
		return false, nil
	}
	b := other()
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if eq, err := r.equalAt(a[i], b[i], depth+1); !eq || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *render) equalDicts(a, b *Dict, depth int) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	for _, e := range a.entries {
		other, ok := b.find(e.hash)
		if !ok {
			return false, nil
		}
		if eq, err := r.equalAt(e.value, other, depth+1); !eq || err != nil {
			return false, err
		}
	}
	return true, nil
}

// same is Python's a is b, for the types where it has a meaning in templates.
func same(a, b Value) bool {
	switch a := a.(type) {
	case None:
		_, ok := b.(None)
		return ok
	case Bool:
		b, ok := b.(Bool)
		return ok && a == b
	case Int:
		b, ok := b.(Int)
		return ok && a == b
	case Float:
		b, ok := b.(Float)
		return ok && a == b
	case String:
		b, ok := b.(String)
		return ok && a.text == b.text
	case BigInt:
		b, ok := b.(BigInt)
		return ok && a.n == b.n
	}
	switch b.(type) {
	case None, Bool, Int, Float, String, BigInt:
		return false
	}
	return a == b // the rest are pointers
}

// compareNumbers is -1, 0, 1, or 2 where a NaN makes every comparison false.
func compareNumbers(a, b number) int {
	if a.kind == 'i' && b.kind == 'i' {
		switch {
		case a.i < b.i:
			return -1
		case a.i > b.i:
			return 1
		}
		return 0
	}
	if a.kind != 'f' && b.kind != 'f' {
		return a.big().Cmp(b.big())
	}
	x, y := a.exact(), b.exact()
	if x == nil || y == nil {
		return 2
	}
	return x.Cmp(y)
}

// exact is n without rounding; nil for NaN.
func (n number) exact() *big.Float {
	switch {
	case n.kind != 'f':
		return new(big.Float).SetInt(n.big())
	case n.f != n.f:
		return nil
	}
	return big.NewFloat(n.f)
}

// compare is Python's ordering of a and b for the operator op (<, <=, >, >=).
func (r *render) compare(op string, a, b Value) (bool, error) {
	order, err := r.order(op, a, b, 0)
	if err != nil || order == 2 {
		return false, err
	}
	switch op {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	}
	return order >= 0, nil
}

func (r *render) order(op string, a, b Value, depth int) (int, error) {
	if err := r.deeper(depth); err != nil {
		return 0, err
	}
	if err := definedBoth(a, b); err != nil {
		return 0, err
	}
	if x, ok := numberOf(a); ok {
		if y, ok := numberOf(b); ok {
			return compareNumbers(x, y), nil
		}
	}
	switch a := a.(type) {
	case String:
		if b, ok := b.(String); ok {
			return strings.Compare(a.text, b.text), r.step(len(a.text) / costBytes)
		}
	case *List:
		if b, ok := b.(*List); ok {
			return r.orderItems(op, a.items, b.items, depth)
		}
	case *Tuple:
		if b, ok := b.(*Tuple); ok {
			return r.orderItems(op, a.items, b.items, depth)
		}
	}
	return 0, typeError("'%s' not supported between instances of '%s' and '%s'", op, a.typeName(), b.typeName())
}

func (r *render) orderItems(op string, a, b []Value, depth int) (int, error) {
	for i := 0; i < len(a) && i < len(b); i++ {
		eq, err := r.equalAt(a[i], b[i], depth+1)
		if err != nil {
			return 0, err
		}
		if !eq {
			return r.order(op, a[i], b[i], depth+1)
		}
	}
	return compareNumbers(number{kind: 'i', i: int64(len(a))}, number{kind: 'i', i: int64(len(b))}), nil
}

// definedBoth fails if either operand is undefined.
func definedBoth(a, b Value) error {
	if u, ok := a.(*Undefined); ok {
		return u.fail()
	}
	if u, ok := b.(*Undefined); ok {
		return u.fail()
	}
	return nil
}

// contains is Python's item in container.
func (r *render) contains(container, item Value) (bool, error) {
	switch c := container.(type) {
	case String:
		s, ok := item.(String)
		if !ok {
			return false, typeError("'in <string>' requires string as left operand, not %s", item.typeName())
		}
		return strings.Contains(c.text, s.text), r.step(len(c.text) / costBytes)
	case *Dict:
		hash, err := hashOf(item)
		if err != nil {
			return false, err
		}
		return c.place(hash) >= 0, nil
	}
	if !isIterable(container) {
		return false, typeError("argument of type '%s' is not iterable", container.typeName())
	}
	items, err := r.walk(container)
	if err != nil {
		return false, err
	}
	for _, other := range items {
		if eq, err := r.equal(item, other); eq || err != nil {
			return eq, err
		}
	}
	return false, nil
}
