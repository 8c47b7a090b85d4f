package jinja

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxJSONDepth is how deep arrays and objects may nest in ParseJSON.
const MaxJSONDepth = 128

// Bounds of what a text may hold in ParseJSON: small values take many times the memory
// of their text, and all but numbers the most.
const (
	MaxJSONValues = 1 << 20
	MaxJSONNodes  = 1 << 16 // strings, keys, arrays and objects
)

// maxJSONLarge bounds the integers beyond 64 bits, which nobody sends many of.
const maxJSONLarge = 1 << 12

// maxJSONDigits bounds the digits of an integer, as Python does.
const maxJSONDigits = 4300

// JSONError says what is wrong with a JSON text, and where.
type JSONError struct {
	Offset  int // bytes before the fault
	Message string
}

func (e *JSONError) Error() string { return fmt.Sprintf("JSON at byte %d: %s", e.Offset, e.Message) }

// ParseJSON reads one JSON text. Objects become [*Dict] in the order of their
// keys, integers stay exact, strings are untrusted. Refused with a
// [*JSONError]: what RFC 8259 refuses, invalid UTF-8, a key given twice,
// nesting beyond [MaxJSONDepth], more than [MaxJSONValues] values or [MaxJSONNodes]
// strings, keys, arrays and objects, numbers beyond float64 or 4,300 digits. An unpaired surrogate escape becomes U+FFFD.
func ParseJSON[T string | []byte](text T) (Value, error) {
	d := &jsonReader{text: string(text)}
	if !utf8.ValidString(d.text) {
		return nil, &JSONError{Message: "not valid UTF-8"}
	}
	if err := d.survey(); err != nil {
		return nil, err
	}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.space(); d.at < len(d.text) {
		return nil, d.fail("text behind the value")
	}
	return v, nil
}

type jsonReader struct {
	text   string
	at     int
	values int
	large  int              // integers beyond 64 bits
	sizes  []int32          // commas of each array and object, in the order they open
	keys   map[string]Value // that came already: most come often
}

func (d *jsonReader) fail(format string, args ...any) error {
	return &JSONError{Offset: d.at, Message: fmt.Sprintf(format, args...)}
}

func (d *jsonReader) space() {
	for d.at < len(d.text) && strings.IndexByte(" \t\r\n", d.text[d.at]) >= 0 {
		d.at++
	}
}

// peek is the next byte behind white space; 0 at the end.
func (d *jsonReader) peek() byte {
	d.space()
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *jsonReader) value(depth int) (Value, error) {
	if depth > MaxJSONDepth {
		return nil, d.fail("nested deeper than %d levels", MaxJSONDepth)
	}
	if d.values++; d.values > MaxJSONValues {
		return nil, d.fail("more than %d values", MaxJSONValues)
	}
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.array(depth)
	case c == '"':
		s, err := d.string()
		return Untrusted(s), err
	case c == '-' || isDecimal(c):
		return d.number()
	}
	for _, word := range jsonWords {
		if strings.HasPrefix(d.text[d.at:], word.text) {
			d.at += len(word.text)
			return word.value, nil
		}
	}
	if d.at == len(d.text) {
		return nil, d.fail("ends where a value should be")
	}
	return nil, d.fail("unexpected %q", d.text[d.at])
}

var jsonWords = []struct {
	text  string
	value Value
}{{"null", None{}}, {"true", Bool(true)}, {"false", Bool(false)}}

// more is called before each element: false at the closing bracket.
func (d *jsonReader) more(first bool, end byte) (bool, error) {
	switch c := d.peek(); {
	case c == end && first:
		d.at++
		return false, nil
	case first:
		return true, nil
	case c == end:
		d.at++
		return false, nil
	case c == ',':
		d.at++
		return true, nil
	}
	return false, d.fail("expected ',' or '%c'", end)
}

func (d *jsonReader) array(depth int) (Value, error) {
	d.at++
	list, size := &List{}, d.size()
	for {
		more, err := d.more(len(list.items) == 0, ']')
		if err != nil || !more {
			return list, err
		}
		if list.items == nil {
			list.items = make([]Value, 0, size)
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list.items = append(list.items, v)
	}
}

func (d *jsonReader) object(depth int) (Value, error) {
	d.at++
	dict, size := NewDict(), d.size()
	for {
		more, err := d.more(dict.Len() == 0, '}')
		if err != nil || !more {
			return dict, err
		}
		if dict.entries == nil {
			dict.grow(size)
		}
		if err := d.member(dict, depth); err != nil {
			return nil, err
		}
	}
}

func (d *jsonReader) member(dict *Dict, depth int) error {
	if d.peek() != '"' {
		return d.fail("expected a key in quotes")
	}
	start := d.at
	key, err := d.string()
	if err != nil {
		return err
	}
	if _, twice := dict.Get(key); twice {
		return &JSONError{Offset: start, Message: fmt.Sprintf("key %q given twice", key)}
	}
	if d.peek() != ':' {
		return d.fail("expected ':' behind the key %q", key)
	}
	d.at++
	v, err := d.value(depth + 1)
	if err != nil {
		return err
	}
	dict.put(dictKey{kind: 's', text: key}, d.key(key), v)
	return nil
}

func (d *jsonReader) number() (Value, error) {
	start := d.at
	n, float := jsonNumber(d.text[d.at:])
	if n == 0 {
		return nil, d.fail("malformed number")
	}
	d.at += n
	text := d.text[start:d.at]
	if float {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			d.at = start
			return nil, d.fail("number out of range")
		}
		return Float(f), nil
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Int(i), nil
	}
	if len(text) > maxJSONDigits {
		d.at = start
		return nil, d.fail("integer of more than %d digits", maxJSONDigits)
	}
	if d.large++; d.large > maxJSONLarge {
		d.at = start
		return nil, d.fail("more than %d integers beyond 64 bits", maxJSONLarge)
	}
	i, _ := new(big.Int).SetString(text, 10)
	return NewBigInt(i), nil
}

// jsonNumber is the length of the number s begins with, 0 if it is malformed,
// and whether it is a float.
func jsonNumber(s string) (n int, float bool) {
	run := func() int {
		from := n
		for n < len(s) && isDecimal(s[n]) {
			n++
		}
		return n - from
	}
	if s[0] == '-' {
		n++
	}
	leading := n
	if whole := run(); whole == 0 || whole > 1 && s[leading] == '0' {
		return 0, false
	}
	if n < len(s) && s[n] == '.' {
		n, float = n+1, true
		if run() == 0 {
			return 0, false
		}
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		n, float = n+1, true
		if n < len(s) && (s[n] == '+' || s[n] == '-') {
			n++
		}
		if run() == 0 {
			return 0, false
		}
	}
	return n, float
}

// string reads a quoted string.
func (d *jsonReader) string() (string, error) {
	d.at++
	start := d.at
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return d.text[start : d.at-1], nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.fail("control character in a string")
		}
		d.at++
	}
	return "", d.fail("string without its closing quote")
}

// escaped reads the rest of a string that has escapes.
func (d *jsonReader) escaped(start int) (string, error) {
	var out strings.Builder
	out.WriteString(d.text[start:d.at])
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return out.String(), nil
		case c == '\\':
			r, err := d.escape()
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
			continue
		case c < ' ':
			return "", d.fail("control character in a string")
		default:
			out.WriteByte(c)
		}
		d.at++
	}
	return "", d.fail("string without its closing quote")
}

var jsonUnescapes = map[byte]rune{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

func (d *jsonReader) escape() (rune, error) {
	if d.at+1 >= len(d.text) {
		return 0, d.fail("string without its closing quote")
	}
	c := d.text[d.at+1]
	if r, ok := jsonUnescapes[c]; ok {
		d.at += 2
		return r, nil
	}
	unit, ok := hexUnit(d.text[d.at:])
	if !ok {
		return 0, d.fail("invalid escape in a string")
	}
	d.at += 6
	if !utf16.IsSurrogate(unit) {
		return unit, nil
	}
	if low, ok := hexUnit(d.text[d.at:]); ok {
		if r := utf16.DecodeRune(unit, low); r != utf8.RuneError {
			d.at += 6
			return r, nil
		}
	}
	return utf8.RuneError, nil
}

// hexUnit reads the \u escape s begins with.
func hexUnit(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}
