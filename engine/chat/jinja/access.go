package jinja

type (
	attributeExpr struct {
		of   expr
		name string
	}

	subscriptExpr struct{ of, key expr }

	// sliceExpr is of[start:stop:stride]; absent parts are nil.
	sliceExpr struct{ of, start, stop, stride expr }
)

func (e *attributeExpr) eval(r *render, s *scope) (Value, error) {
	of, err := e.of.eval(r, s)
	if err != nil {
		return nil, err
	}
	if err := r.step(1); err != nil {
		return nil, err
	}
	return r.getattr(of, e.name)
}

func (e *subscriptExpr) eval(r *render, s *scope) (Value, error) {
	of, err := e.of.eval(r, s)
	if err != nil {
		return nil, err
	}
	key, err := e.key.eval(r, s)
	if err != nil {
		return nil, err
	}
	if err := r.step(1); err != nil {
		return nil, err
	}
	return r.getitem(of, key)
}

// getattr is of.name: an attribute if there is one, otherwise an item.
func (r *render) getattr(of Value, name string) (Value, error) {
	if u, ok := of.(*Undefined); ok {
		return nil, u.fail()
	}
	if v := attribute(of, name); v != nil {
		return v, nil
	}
	if d, ok := of.(*Dict); ok {
		if v, ok := d.Get(name); ok {
			return v, nil
		}
	}
	return undefinedKey(of, Text(name)), nil
}

// getitem is of[key]: an item if there is one, otherwise an attribute.
func (r *render) getitem(of, key Value) (Value, error) {
	if u, ok := of.(*Undefined); ok {
		return nil, u.fail()
	}
	v, err := r.item(of, key)
	if v != nil || err != nil {
		return v, err
	}
	if name, ok := key.(String); ok {
		if v := attribute(of, name.text); v != nil {
			return v, nil
		}
	}
	return undefinedKey(of, key), nil
}

// item is the element of a container; nil if there is none.
func (r *render) item(of, key Value) (Value, error) {
	if d, ok := of.(*Dict); ok {
		hash, err := hashOf(key)
		if err != nil {
			return nil, nil // an unhashable key is in no dict
		}
		v, _ := d.find(hash)
		return v, nil
	}
	i, ok := key.(Int)
	if b, isBool := key.(Bool); isBool {
		i, ok = Int(asInt(b)), true
	}
	if !ok {
		return nil, nil
	}
	switch of := of.(type) {
	case *List:
		return at(of.items, int(i)), nil
	case *Tuple:
		return at(of.items, int(i)), nil
	case *Range:
		if i, ok := place(int(i), of.Len()); ok {
			return of.at(i), nil
		}
	case String:
		return r.char(of, int(i))
	}
	return nil, nil
}

// place resolves a negative index; false if it lies outside n items.
func place(i, n int) (int, bool) {
	if i < 0 {
		i += n
	}
	return i, i >= 0 && i < n
}

func at(items []Value, i int) Value {
	if i, ok := place(i, len(items)); ok {
		return items[i]
	}
	return nil
}

func (r *render) char(s String, i int) (Value, error) {
	i, ok := place(i, s.runes())
	if !ok {
		return nil, nil
	}
	start := s.offset(i)
	end := start + s.from(start).offset(1)
	return s.slice(start, end), r.touch(s)
}

func (e *sliceExpr) eval(r *render, s *scope) (Value, error) {
	of, err := e.of.eval(r, s)
	if err != nil {
		return nil, err
	}
	if err := r.touch(of); err != nil {
		return nil, err
	}
	bounds := [3]*int{}
	for i, part := range []expr{e.start, e.stop, e.stride} {
		if bounds[i], err = bound(r, s, part); err != nil {
			return nil, err
		}
	}
	return r.cut(of, bounds[0], bounds[1], bounds[2])
}

// bound evaluates one part of a slice; nil if it is absent or None.
func bound(r *render, s *scope, part expr) (*int, error) {
	if part == nil {
		return nil, nil
	}
	v, err := part.eval(r, s)
	if err != nil {
		return nil, err
	}
	if _, none := v.(None); none {
		return nil, nil
	}
	i, err := index(v)
	if _, isRuntime := err.(*RuntimeError); isRuntime && !isUndefined(v) {
		return nil, typeError("slice indices must be integers or None or have an __index__ method")
	}
	return &i, err
}

// cut is of[start:stop:stride].
func (r *render) cut(of Value, start, stop, stride *int) (Value, error) {
	if u, ok := of.(*Undefined); ok {
		return nil, u.fail()
	}
	n, ok := length(of)
	if _, sliceable := of.(*Dict); sliceable || !ok {
		return undefinedf("%s has no element slice", describe(of)), nil
	}
	if stride != nil && *stride == 0 {
		return nil, valueError("slice step cannot be zero")
	}
	span := sliceRange(n, start, stop, stride)
	switch of := of.(type) {
	case String:
		return r.cutText(of, span)
	case *List:
		return &List{items: pick(of.items, span)}, r.step(span.Len() / costItems)
	case *Tuple:
		return &Tuple{items: pick(of.items, span)}, r.step(span.Len() / costItems)
	case *Range:
		return &Range{
			start:  of.start + span.start*of.stride,
			stop:   of.start + span.stop*of.stride,
			stride: of.stride * span.stride,
		}, nil
	}
	return undefinedf("%s has no element slice", describe(of)), nil
}

// sliceRange resolves the parts of a slice over n items, as Python does.
func sliceRange(n int, start, stop, stride *int) *Range {
	g := &Range{start: 0, stop: n, stride: 1}
	low, high := 0, n
	if stride != nil {
		g.stride = min(max(*stride, -maxStride), maxStride)
	}
	if g.stride < 0 {
		g.start, g.stop = n-1, -1
		low, high = -1, n-1
	}
	if start != nil {
		g.start = clip(*start, n, low, high)
	}
	if stop != nil {
		g.stop = clip(*stop, n, low, high)
	}
	return g
}

// maxStride is beyond any length, and small enough to add to one.
const maxStride = 1 << 40

func clip(i, n, low, high int) int {
	if i < 0 {
		i = max(i, -maxStride) + n
	}
	return min(max(i, low), high)
}

func pick(items []Value, span *Range) []Value {
	if span.stride == 1 && span.start < span.stop {
		return items[span.start:span.stop:span.stop]
	}
	out := make([]Value, span.Len())
	for i := range out {
		out[i] = items[span.start+i*span.stride]
	}
	return out
}

func (r *render) cutText(s String, span *Range) (Value, error) {
	if span.stride == 1 {
		start := s.offset(span.start)
		return s.slice(start, max(start, s.offset(span.stop))), nil
	}
	if err := r.step(fresh(s)); err != nil {
		return nil, err
	}
	b := r.builder()
	for _, c := range pick(s.chars(), span) {
		b.add(c.(String))
	}
	return b.value()
}
