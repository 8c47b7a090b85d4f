package jinja

// globals are the functions every template can call.
var globals map[string]Value

func init() {
	globals = map[string]Value{}
	for _, b := range []*builtin{
		define("range", "start stop? step?", newRange),
		define("dict", "(mapping)? *", newDict),
		define("namespace", "(mapping)? *", newNamespace),
		define("raise_exception", "message", raise),
		define("strftime_now", "format", strftimeNow),
	} {
		globals[b.name] = &function{fn: b}
	}
}

// newRange is range(stop) or range(start, stop, step), of at most maxRange
// numbers.
func newRange(c *call) (Value, error) {
	start, err := index(c.args[0])
	if err != nil {
		return nil, err
	}
	stop, err := c.int(1, start)
	if err != nil {
		return nil, err
	}
	if c.args[1] == nil {
		start = 0
	}
	stride, err := c.int(2, 1)
	if err != nil {
		return nil, err
	}
	return checkRange(start, stop, stride)
}

func checkRange(start, stop, stride int) (Value, error) {
	if stride == 0 {
		return nil, valueError("range() arg 3 must not be zero")
	}
	g := &Range{start: start, stop: stop, stride: stride}
	if max(start, stop, stride) > maxStride || min(start, stop, stride) < -maxStride || g.Len() > maxRange {
		return nil, overflowError("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return g, nil
}

// newDict is dict(mapping or pairs, name=value, ...).
func newDict(c *call) (Value, error) {
	d := NewDict()
	switch source := c.args[0].(type) {
	case nil:
	case *Dict:
		d = source.Clone()
	default:
		if err := c.r.addPairs(d, source); err != nil {
			return nil, err
		}
	}
	for _, arg := range c.kwargs {
		d.put(dictKey{kind: 's', text: arg.name}, Text(arg.name), arg.value)
	}
	return d, nil
}

func (r *render) addPairs(d *Dict, source Value) error {
	items, err := r.walk(source)
	if err != nil {
		return err
	}
	for i, item := range items {
		if !isIterable(item) {
			return typeError("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		pair, err := r.walk(item)
		if err != nil {
			return err
		}
		if len(pair) != 2 {
			return valueError("dictionary update sequence element #%d has length %d; 2 is required", i, len(pair))
		}
		hash, err := hashOf(pair[0])
		if err != nil {
			return err
		}
		d.put(hash, pair[0], pair[1])
	}
	return nil
}

// raise is raise_exception(message).
func raise(c *call) (Value, error) {
	message, err := c.text(0)
	if err != nil {
		return nil, err
	}
	return nil, &TemplateError{Message: message.text}
}
