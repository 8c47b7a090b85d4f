package jinja

// Limits bound one rendering, so that a hostile template or conversation costs
// a known amount of time and memory.
type Limits struct {
	Steps       int // evaluated nodes, plus one per costBytes of text an operation touches
	OutputBytes int // bytes of the result, and of any string on the way to it
}

// DefaultLimits are ample for a conversation that fills a long context.
var DefaultLimits = Limits{Steps: 1_000_000, OutputBytes: 8 << 20}

const (
	costBytes      = 64      // bytes of text that cost one step
	costItems      = 4       // list items that cost one step
	costSlowBytes  = 16      // bytes that are looked at one by one, for one step more
	maxCalls       = 100     // nested macro calls
	maxValueDepth  = 200     // nesting of values that are printed, compared or encoded
	maxRange       = 100_000 // items of range(), as in Jinja's sandbox
	maxIntBits     = 1 << 13 // bits of an integer
	maxSourceBytes = 1 << 20 // bytes of a template's source
	maxParseDepth  = 100     // nesting of expressions and blocks
	maxChain       = 1000    // operators or postfixes in a row
	maxTokens      = 1 << 15 // of a template's source; real ones have some 5000
	costBindings   = 16      // names that a lookup passes, for one step
	costBits       = 128     // bits of an integer that cost one step
)

// step charges n steps.
func (r *render) step(n int) error {
	r.steps += n
	if r.steps > r.limits.Steps {
		return &LimitError{What: "steps", Limit: r.limits.Steps}
	}
	return nil
}

// touch charges for reading or making the values.
func (r *render) touch(values ...Value) error {
	cost := 0
	for _, v := range values {
		cost += size(v)
	}
	return r.step(cost)
}

// size is what touching v costs.
func size(v Value) int {
	switch v := v.(type) {
	case String:
		return len(v.text) / costBytes
	case *List:
		return len(v.items) / costItems
	case *Tuple:
		return len(v.items) / costItems
	case *Generator:
		return len(v.items) / costItems
	case *Dict:
		return v.Len() / costItems
	case BigInt:
		return v.n.BitLen() / costBits
	}
	return 0
}

// slowly charges for looking at each code point of a text.
func (r *render) slowly(s String) error { return r.step(len(s.text) / costSlowBytes) }

// fresh is how many values walking v makes: each costs a step.
func fresh(v Value) int {
	switch v := v.(type) {
	case String:
		return len(v.text)
	case *Range:
		return v.Len()
	case *Dict:
		return v.Len()
	}
	return 0
}

// Weigh counts the values that templates see of v, and the bytes of their texts.
func Weigh(v Value) (values, bytes int) {
	values = 1
	add := func(v Value) {
		n, b := Weigh(v)
		values, bytes = values+n, bytes+b
	}
	switch v := v.(type) {
	case String:
		bytes = len(v.text)
	case *List:
		for _, item := range v.items {
			add(item)
		}
	case *Dict:
		for i := range v.Len() {
			add(v.Key(i))
			add(v.At(i))
		}
	}
	return values, bytes
}

// room refuses a string of n bytes that would be longer than the output may be.
func (r *render) room(n int) error {
	if n > r.limits.OutputBytes {
		return &LimitError{What: "output bytes", Limit: r.limits.OutputBytes}
	}
	return nil
}
