package jinja

import (
	"sort"
	"strings"
)

// sequenceFilters are those for lists and dicts as a whole.
func sequenceFilters() map[string]*builtin {
	return table(
		define("batch", "value linecount fill_with?", filterBatch),
		define("dictsort", "value case_sensitive? by? reverse?", filterDictSort),
		define("first", "seq", filterFirst),
		define("items", "value", filterItems),
		define("last", "seq", filterLast),
		define("list", "value", filterList),
		define("max", "value case_sensitive? attribute?", extremeFilter(">")),
		define("min", "value case_sensitive? attribute?", extremeFilter("<")),
		define("reverse", "value", filterReverse),
		define("slice", "value slices fill_with?", filterSlice),
		define("sort", "value reverse? case_sensitive? attribute?", filterSort),
		define("sum", "iterable attribute? start?", filterSum),
		define("unique", "value case_sensitive? attribute?", filterUnique),
	)
}

func filterFirst(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefinedf("No first item, sequence was empty."), nil
	}
	return items[0], nil
}

func filterLast(c *call) (Value, error) {
	if _, once := c.args[0].(*Generator); once {
		return nil, typeError("'generator' object is not reversible")
	}
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefinedf("No last item, sequence was empty."), nil
	}
	return items[len(items)-1], nil
}

func filterItems(c *call) (Value, error) {
	switch v := c.args[0].(type) {
	case *Undefined:
		return &Generator{}, nil
	case *Dict:
		if err := c.r.step(2 * v.Len()); err != nil {
			return nil, err
		}
		return &Generator{items: v.pairs()}, nil
	}
	return nil, typeError("Can only get item pairs from a mapping.")
}

func filterList(c *call) (Value, error) {
	items, err := c.items(0)
	return &List{items: items}, err
}

func filterReverse(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	if err := c.r.step(len(items) / costItems); err != nil {
		return nil, err
	}
	turned := make([]Value, len(items))
	for i, item := range items {
		turned[len(items)-1-i] = item
	}
	if _, ok := c.args[0].(String); !ok {
		return &Generator{items: turned}, nil
	}
	b := c.r.builder()
	for _, char := range turned {
		b.add(char.(String))
	}
	return b.value()
}

// filterBatch cuts a sequence into lists of linecount items.
func filterBatch(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	n, err := c.int(1, 0)
	if err != nil {
		return nil, err
	}
	var rows []Value
	if err := c.r.step(len(items) / max(n, 1)); err != nil {
		return nil, err
	}
	for len(items) > 0 {
		k := len(items)
		if n > 0 {
			k = min(n, k)
		}
		rows = append(rows, &List{items: items[:k:k]})
		items = items[k:]
	}
	if fill := c.args[2]; fill != nil && len(rows) > 0 {
		if _, none := fill.(None); !none {
			return c.fillRow(rows, n, fill)
		}
	}
	return &Generator{items: rows}, nil
}

// fillRow brings the last row up to n items.
func (c *call) fillRow(rows []Value, n int, fill Value) (Value, error) {
	last := rows[len(rows)-1].(*List)
	more, err := c.r.repeatItems([]Value{fill}, n-len(last.items))
	if err != nil {
		return nil, err
	}
	rows[len(rows)-1] = &List{items: joinItems(last.items, more)}
	return &Generator{items: rows}, nil
}

// filterSlice deals a sequence out to a number of lists.
func filterSlice(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	n, err := c.int(1, 0)
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, &RuntimeError{Class: "ZeroDivisionError", Message: "integer division or modulo by zero"}
	}
	if err := c.r.step(min(n, c.r.limits.Steps+1)); err != nil {
		return nil, err
	}
	columns := make([]Value, n)
	for i := range columns {
		k := len(items) / (n - i)
		if len(items)%(n-i) > 0 {
			k++
		}
		column := &List{items: items[:k:k]}
		if fill := c.args[2]; fill != nil && i > 0 && k < len(columns[0].(*List).items) {
			column = &List{items: joinItems(column.items, []Value{fill})}
		}
		columns[i], items = column, items[k:]
	}
	return &Generator{items: columns}, nil
}

// folded is the key that comparisons without case use.
func folded(v Value) Value {
	if s, ok := v.(String); ok {
		return s.rewrite(strings.ToLower(s.text))
	}
	return v
}

// keyed pairs items with the keys they are compared by: argument attribute of
// each, without case unless argument sensitive is true.
func (c *call) keyed(sensitive, attribute int) ([]keyedItem, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	get, err := c.getter(attribute, nil)
	if err != nil {
		return nil, err
	}
	if err := c.r.step(len(items)); err != nil {
		return nil, err
	}
	out := make([]keyedItem, len(items))
	for i, item := range items {
		key, err := get(item)
		if err != nil {
			return nil, err
		}
		if !c.flag(sensitive, false) {
			key = folded(key)
		}
		out[i] = keyedItem{key: key, value: item}
	}
	return out, nil
}

type keyedItem struct{ key, value Value }

// sortKeyed sorts in place; equal keys keep their order.
func (r *render) sortKeyed(items []keyedItem, reverse bool) error {
	var failed error
	less := func(a, b Value) bool {
		if failed != nil {
			return false
		}
		lt, err := r.compare("<", a, b)
		failed = err
		return lt
	}
	sort.SliceStable(items, func(i, j int) bool {
		if reverse {
			return less(items[j].key, items[i].key)
		}
		return less(items[i].key, items[j].key)
	})
	return failed
}

func values(items []keyedItem) []Value {
	out := make([]Value, len(items))
	for i, item := range items {
		out[i] = item.value
	}
	return out
}

func filterSort(c *call) (Value, error) {
	items, err := c.keyed(2, 3)
	if err != nil {
		return nil, err
	}
	err = c.r.sortKeyed(items, c.flag(1, false))
	return &List{items: values(items)}, err
}

func filterDictSort(c *call) (Value, error) {
	d, ok := c.args[0].(*Dict)
	if !ok {
		return nil, typeError("'%s' object has no attribute 'items'", c.args[0].typeName())
	}
	by, err := c.text(2)
	if err != nil {
		return nil, err
	}
	place, ok := map[string]int{"": 0, "key": 0, "value": 1}[by.text]
	if !ok {
		return nil, &RuntimeError{Class: "FilterArgumentError", Message: `You can only sort by either "key" or "value"`}
	}
	if err := c.r.step(2 * d.Len()); err != nil {
		return nil, err
	}
	items := make([]keyedItem, d.Len())
	for i, pair := range d.pairs() {
		key := pair.(*Tuple).items[place]
		if !c.flag(1, false) {
			key = folded(key)
		}
		items[i] = keyedItem{key: key, value: pair}
	}
	err = c.r.sortKeyed(items, c.flag(3, false))
	return &List{items: values(items)}, err
}

// extremeFilter is max or min, by the comparison that wins.
func extremeFilter(op string) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		items, err := c.keyed(1, 2)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return undefinedf("No aggregated item, sequence was empty."), nil
		}
		best := items[0]
		for _, item := range items[1:] {
			wins, err := c.r.compare(op, item.key, best.key)
			if err != nil {
				return nil, err
			}
			if wins {
				best = item
			}
		}
		return best.value, nil
	}
}

func filterSum(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	get, err := c.getter(1, nil)
	if err != nil {
		return nil, err
	}
	var total Value = Int(0)
	if c.args[2] != nil {
		total = c.args[2]
	}
	for _, item := range items {
		v, err := get(item)
		if err != nil {
			return nil, err
		}
		if total, err = c.r.binary("+", total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func filterUnique(c *call) (Value, error) {
	items, err := c.keyed(1, 2)
	if err != nil {
		return nil, err
	}
	seen := make(map[dictKey]bool, len(items))
	var kept []Value
	for _, item := range items {
		hash, err := hashOf(item.key)
		if err != nil {
			return nil, err
		}
		if !seen[hash] {
			seen[hash] = true
			kept = append(kept, item.value)
		}
	}
	return &Generator{items: kept}, nil
}
