package jinja

import (
	"strings"
	"unicode"
)

func init() {
	textMethods = table(
		define("strip", "self chars?", stripMethod(true, true)),
		define("lstrip", "self chars?", stripMethod(true, false)),
		define("rstrip", "self chars?", stripMethod(false, true)),
		define("split", "self sep? maxsplit?", func(c *call) (Value, error) { return c.split(false) }),
		define("rsplit", "self sep? maxsplit?", func(c *call) (Value, error) { return c.split(true) }),
		define("splitlines", "self keepends?", textSplitLines),
		define("partition", "self sep", func(c *call) (Value, error) { return c.partition(false) }),
		define("rpartition", "self sep", func(c *call) (Value, error) { return c.partition(true) }),
		define("startswith", "self prefix start? end?", affixMethod(strings.HasPrefix)),
		define("endswith", "self suffix start? end?", affixMethod(strings.HasSuffix)),
		define("removeprefix", "self prefix", textRemovePrefix),
		define("removesuffix", "self suffix", textRemoveSuffix),
		define("find", "self sub start? end?", findMethod(strings.Index, false)),
		define("rfind", "self sub start? end?", findMethod(strings.LastIndex, false)),
		define("index", "self sub start? end?", findMethod(strings.Index, true)),
		define("rindex", "self sub start? end?", findMethod(strings.LastIndex, true)),
		define("count", "self sub start? end?", textCount),
		define("replace", "self old new count?", textReplace),
		define("join", "self iterable", textJoin),
		define("format", "self *", textFormat),
		define("center", "self width fillchar?", padMethod(1, 1)),
		define("ljust", "self width fillchar?", padMethod(0, 1)),
		define("rjust", "self width fillchar?", padMethod(1, 0)),
		define("zfill", "self width", textZfill),
		define("upper", "self", caseMethod(strings.ToUpper)),
		define("lower", "self", caseMethod(strings.ToLower)),
		define("casefold", "self", caseMethod(strings.ToLower)),
		define("title", "self", caseMethod(titleCase)),
		define("capitalize", "self", caseMethod(capitalize)),
		define("swapcase", "self", caseMethod(swapCase)),
		define("isspace", "self", everyMethod(isSpace)),
		define("isalpha", "self", everyMethod(unicode.IsLetter)),
		define("isdigit", "self", everyMethod(unicode.IsDigit)),
		define("isdecimal", "self", everyMethod(unicode.IsDigit)),
		define("isnumeric", "self", everyMethod(unicode.IsNumber)),
		define("isalnum", "self", everyMethod(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) })),
		define("isascii", "self", textIsASCII),
		define("isupper", "self", func(c *call) (Value, error) { return Bool(isUpper(c.self().text)), nil }),
		define("islower", "self", func(c *call) (Value, error) { return Bool(isLower(c.self().text)), nil }),
	)
}

// self is the receiver of a string's method.
func (c *call) self() String { return c.args[0].(String) }

func stripMethod(left, right bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		take, err := trimmer(c.args[1])
		if err != nil {
			return nil, err
		}
		return c.self().trim(take, left, right), nil
	}
}

func caseMethod(change func(string) string) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		if err := c.r.slowly(c.self()); err != nil {
			return nil, err
		}
		return c.self().rewrite(change(c.self().text)), nil
	}
}

func everyMethod(is func(rune) bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		s := c.self().text
		return Bool(s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0), nil
	}
}

func textIsASCII(c *call) (Value, error) {
	return Bool(strings.IndexFunc(c.self().text, func(r rune) bool { return r > unicode.MaxASCII }) < 0), nil
}

// window is the receiver's [start:end] and the code points before it.
func (c *call) window() (String, int, error) {
	s := c.self()
	var bounds [2]*int
	for i := range bounds {
		switch c.args[2+i].(type) {
		case nil, None:
			continue
		}
		n, err := c.int(2+i, 0)
		if err != nil {
			return s, 0, err
		}
		bounds[i] = &n
	}
	if bounds[0] == nil && bounds[1] == nil {
		return s, 0, nil
	}
	span := sliceRange(s.runes(), bounds[0], bounds[1], nil)
	start := s.offset(span.start)
	return s.slice(start, max(start, s.offset(span.stop))), span.start, nil
}

// affixMethod is startswith or endswith; a tuple offers alternatives.
func affixMethod(has func(s, affix string) bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		s, _, err := c.window()
		if err != nil {
			return nil, err
		}
		options := []Value{c.args[1]}
		if t, ok := c.args[1].(*Tuple); ok {
			options = t.items
		}
		for _, option := range options {
			affix, ok := option.(String)
			if !ok {
				return nil, typeError("startswith first arg must be str or a tuple of str, not %s", option.typeName())
			}
			if has(s.text, affix.text) {
				return Bool(true), nil
			}
		}
		return Bool(false), nil
	}
}

func textRemovePrefix(c *call) (Value, error) {
	affix, err := c.str(1)
	if s := c.self(); err == nil && strings.HasPrefix(s.text, affix.text) {
		return s.from(len(affix.text)), nil
	}
	return c.args[0], err
}

func textRemoveSuffix(c *call) (Value, error) {
	affix, err := c.str(1)
	if s := c.self(); err == nil && strings.HasSuffix(s.text, affix.text) {
		return s.slice(0, len(s.text)-len(affix.text)), nil
	}
	return c.args[0], err
}

// findMethod is find, index and their mirror images.
func findMethod(search func(s, sub string) int, must bool) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		sub, err := c.str(1)
		if err != nil {
			return nil, err
		}
		s, before, err := c.window()
		if err != nil {
			return nil, err
		}
		i := search(s.text, sub.text)
		switch {
		case i >= 0:
			return Int(before + s.slice(0, i).runes()), nil
		case must:
			return nil, valueError("substring not found")
		}
		return Int(-1), nil
	}
}

func textCount(c *call) (Value, error) {
	sub, err := c.str(1)
	if err != nil {
		return nil, err
	}
	s, _, err := c.window()
	return Int(strings.Count(s.text, sub.text)), err
}

func textJoin(c *call) (Value, error) {
	items, err := c.items(1)
	if err != nil {
		return nil, typeError("can only join an iterable")
	}
	b := c.r.builder()
	for i, item := range items {
		s, ok := item.(String)
		if !ok {
			return nil, typeError("sequence item %d: expected str instance, %s found", i, item.typeName())
		}
		if i > 0 {
			b.add(c.self())
		}
		if b.add(s); b.over {
			break
		}
	}
	return b.value()
}

func textReplace(c *call) (Value, error) {
	old, err := c.str(1)
	if err != nil {
		return nil, err
	}
	with, err := c.str(2)
	if err != nil {
		return nil, err
	}
	count, err := c.int(3, -1)
	if err != nil {
		return nil, err
	}
	return c.r.replace(c.self(), old.text, with, count)
}

// replace puts with in the place of the first count olds; all if negative.
func (r *render) replace(s String, old string, with String, count int) (Value, error) {
	if old == "" {
		return r.interleave(s, with, count)
	}
	b := r.builder()
	low := 0
	for ; count != 0 && !b.over; count-- {
		if err := r.step(1); err != nil {
			return nil, err
		}
		i := strings.Index(s.text[low:], old)
		if i < 0 {
			break
		}
		b.add(s.slice(low, low+i))
		b.add(with)
		low += i + len(old)
	}
	b.add(s.from(low))
	return b.value()
}

// interleave puts with before each code point and at the end.
func (r *render) interleave(s String, with String, count int) (Value, error) {
	if err := r.step(fresh(s)); err != nil {
		return nil, err
	}
	b := r.builder()
	for _, char := range s.chars() {
		if b.over {
			break
		}
		if count != 0 {
			b.add(with)
			count--
		}
		b.add(char.(String))
	}
	if count != 0 {
		b.add(with)
	}
	return b.value()
}

// padMethod is center, ljust or rjust, by the sides that are filled.
func padMethod(left, right int) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		width, err := c.int(1, 0)
		if err != nil {
			return nil, err
		}
		fill, err := c.str(2)
		if err != nil {
			return nil, err
		}
		if c.args[2] == nil {
			fill = Text(" ")
		}
		if fill.runes() != 1 {
			return nil, typeError("The fill character must be exactly one character long")
		}
		return c.r.pad(c.self(), width, fill, left, right)
	}
}

// pad fills s to a width at the sides that are 1.
func (r *render) pad(s String, width int, fill String, left, right int) (Value, error) {
	n := s.runes()
	missing := 0
	if width > n {
		missing = width - n
	}
	before := missing * left
	if left+right == 2 {
		before = missing/2 + missing&width&1
	}
	b := r.builder()
	b.repeat(fill, before)
	b.add(s)
	b.repeat(fill, missing-before)
	return b.value()
}

func textZfill(c *call) (Value, error) {
	width, err := c.int(1, 0)
	if err != nil {
		return nil, err
	}
	s := c.self()
	if strings.HasPrefix(s.text, "-") || strings.HasPrefix(s.text, "+") {
		digits, err := c.r.pad(s.from(1), width-1, Text("0"), 1, 0)
		if err != nil {
			return nil, err
		}
		return concat(s.slice(0, 1), digits.(String)), nil
	}
	return c.r.pad(s, width, Text("0"), 1, 0)
}
