package tokenizer

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds how deep arrays and objects of a file may lie in one another.
const maxNesting = 32

// cursor reads JSON from front to back without copying it: a vocabulary of a hundred
// thousand names costs what its tables cost. It is as strict as the reference's
// parser: valid UTF-8, whole surrogate pairs, no trailing commas, names as written.
type cursor struct {
	b       []byte
	at      int
	depth   int
	scratch []byte // the last string that had escapes
}

func (c *cursor) fail(format string, args ...any) error {
	return malformed("byte %d: "+format, append([]any{c.at}, args...)...)
}

// peek is the next byte that is not white space, 0 at the end.
func (c *cursor) peek() byte {
	for c.at < len(c.b) {
		switch b := c.b[c.at]; b {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return b
		}
	}
	return 0
}

// take passes over want if it comes next.
func (c *cursor) take(want byte) bool {
	if c.peek() != want {
		return false
	}
	c.at++
	return true
}

// object calls field for each key of an object; field must read the value. The key
// is valid until field reads.
func (c *cursor) object(field func(key []byte) error) error {
	return c.list('{', '}', func() error {
		key, err := c.text()
		if err != nil {
			return err
		}
		if !c.take(':') {
			return c.fail("a colon is missing")
		}
		return field(key)
	})
}

// array calls item for each item of an array; item must read it.
func (c *cursor) array(item func() error) error { return c.list('[', ']', item) }

func (c *cursor) list(open, end byte, item func() error) error {
	if !c.take(open) {
		return c.fail("want %q", open)
	}
	if c.depth++; c.depth > maxNesting {
		return c.fail("nested deeper than %d", maxNesting)
	}
	defer func() { c.depth-- }()
	if c.take(end) {
		return nil
	}
	for {
		c.peek()
		if err := item(); err != nil {
			return err
		}
		if c.take(end) {
			return nil
		}
		if !c.take(',') {
			return c.fail("want a comma or %q", end)
		}
	}
}

// text reads a string. It is part of the file or, where it has escapes, of a buffer
// that the next such string overwrites.
func (c *cursor) text() ([]byte, error) {
	if !c.take('"') {
		return nil, c.fail("want a string")
	}
	from := c.at
	for ; c.at < len(c.b); c.at++ {
		switch b := c.b[c.at]; {
		case b == '"':
			raw := c.b[from:c.at]
			if !utf8.Valid(raw) {
				return nil, c.fail("string is not UTF-8")
			}
			c.at++
			return raw, nil
		case b == '\\':
			return c.escaped(from)
		case b < ' ':
			return nil, c.fail("control character in a string")
		}
	}
	return nil, c.fail("string does not end")
}

// escaped reads on in a string that began at from and has its first escape here.
func (c *cursor) escaped(from int) ([]byte, error) {
	out := append(c.scratch[:0], c.b[from:c.at]...)
	for c.at < len(c.b) {
		b := c.b[c.at]
		c.at++
		switch {
		case b == '"':
			if c.scratch = out; !utf8.Valid(out) {
				return nil, c.fail("string is not UTF-8")
			}
			return out, nil
		case b < ' ':
			return nil, c.fail("control character in a string")
		case b != '\\':
			out = append(out, b)
			continue
		}
		r, err := c.escape()
		if err != nil {
			return nil, err
		}
		out = utf8.AppendRune(out, r)
	}
	return nil, c.fail("string does not end")
}

// escape reads what follows a backslash.
func (c *cursor) escape() (rune, error) {
	if c.at == len(c.b) {
		return 0, c.fail("string does not end")
	}
	b := c.b[c.at]
	c.at++
	if b == 'u' {
		return c.surrogates()
	}
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), b); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	return 0, c.fail("unknown escape \\%c", b)
}

// surrogates reads the digits of one \u escape, or of two that make one character.
func (c *cursor) surrogates() (rune, error) {
	r, err := c.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if bytes.HasPrefix(c.b[c.at:], []byte(`\u`)) {
		c.at += 2
		low, err := c.hex()
		if err != nil {
			return 0, err
		}
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, nil
		}
	}
	return 0, c.fail("half of a surrogate pair")
}

func (c *cursor) hex() (rune, error) {
	if c.at+4 > len(c.b) {
		return 0, c.fail("string does not end")
	}
	n, err := strconv.ParseUint(string(c.b[c.at:c.at+4]), 16, 16)
	if err != nil {
		return 0, c.fail("want four hexadecimal digits")
	}
	c.at += 4
	return rune(n), nil
}

// number reads a number as it is written.
func (c *cursor) number() ([]byte, error) {
	c.peek()
	from := c.at
	for c.at < len(c.b) && bytes.IndexByte([]byte("+-.0123456789Ee"), c.b[c.at]) >= 0 {
		c.at++
	}
	raw := c.b[from:c.at]
	if _, err := strconv.ParseFloat(string(raw), 64); err != nil {
		return nil, c.fail("want a number")
	}
	return raw, nil
}

// integer reads a whole number; one beyond 64 bits is an error.
func (c *cursor) integer() (int64, error) {
	raw, err := c.number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, c.fail("%s is not a whole number of 64 bits", raw)
	}
	return n, nil
}

// flag reads true or false.
func (c *cursor) flag() (bool, error) {
	switch {
	case c.word("true"):
		return true, nil
	case c.word("false"):
		return false, nil
	}
	return false, c.fail("want true or false")
}

// word passes over a bare word if it comes next.
func (c *cursor) word(w string) bool {
	c.peek()
	if !bytes.HasPrefix(c.b[c.at:], []byte(w)) {
		return false
	}
	c.at += len(w)
	return true
}

// skip passes over any value.
func (c *cursor) skip() error {
	_, err := c.pass()
	return err
}

// pass passes over any value and says how many entries it has.
func (c *cursor) pass() (entries int, err error) {
	one := func() error { entries++; return c.skip() }
	switch c.peek() {
	case '{':
		err = c.object(func([]byte) error { return one() })
	case '[':
		err = c.array(one)
	case '"':
		_, err = c.text()
	case 't', 'f':
		_, err = c.flag()
	case 'n':
		if !c.word("null") {
			err = c.fail("want a value")
		}
	default:
		_, err = c.number()
	}
	return entries, err
}

// value reads any value: nil, bool, float64, string, []any, map[string]any. A key
// given twice is an error.
func (c *cursor) value() (any, error) {
	switch c.peek() {
	case '{':
		out := map[string]any{}
		err := c.object(func(key []byte) (err error) {
			k := string(key)
			if _, twice := out[k]; twice {
				return c.fail("%q is given twice", k)
			}
			out[k], err = c.value()
			return err
		})
		return out, err
	case '[':
		out := []any{}
		err := c.array(func() error {
			v, err := c.value()
			out = append(out, v)
			return err
		})
		return out, err
	case '"':
		s, err := c.text()
		return string(s), err
	case 't', 'f':
		return c.flag()
	case 'n':
		return nil, c.skip()
	}
	raw, err := c.number()
	if err != nil {
		return nil, err
	}
	return strconv.ParseFloat(string(raw), 64)
}
