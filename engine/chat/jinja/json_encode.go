package jinja

import (
	"math"
	"strings"
	"unicode/utf16"
)

// filterToJSON is json.dumps as Hugging Face's templates call it: ensure_ascii
// is off unless asked for.
func filterToJSON(c *call) (Value, error) {
	w := &jsonWriter{b: c.r.builder(), r: c.r, ascii: c.flag(1, false), sorted: c.flag(4, false)}
	if err := w.layout(c.args[2], c.args[3]); err != nil {
		return nil, err
	}
	if err := w.value(c.args[0], 0); err != nil {
		return nil, err
	}
	return w.b.value()
}

// jsonWriter writes one value as JSON.
type jsonWriter struct {
	b      *builder
	r      *render
	ascii  bool   // escape what is not ASCII
	sorted bool   // sort the keys of objects
	indent String // of one level; each item has its own line if lines is set
	width  int    // times indent is repeated per level
	lines  bool
	comma  String
	colon  String
}

// layout reads the arguments indent and separators.
func (w *jsonWriter) layout(indent, separators Value) error {
	w.comma, w.colon = Text(", "), Text(": ")
	switch v := indent.(type) {
	case nil, None:
	case String:
		w.indent, w.width, w.lines = v, 1, true
	default:
		n, err := index(v)
		if err != nil {
			return err
		}
		w.indent, w.width, w.lines = Text(" "), max(0, min(n, w.b.max)), true
	}
	if w.lines {
		w.comma = Text(",")
	}
	if separators == nil || same(separators, None{}) {
		return nil
	}
	pair, err := iterate(separators)
	if err != nil || len(pair) != 2 {
		return valueError("separators must be a pair of strings")
	}
	var ok, also bool
	w.comma, ok = pair[0].(String)
	w.colon, also = pair[1].(String)
	if !ok || !also {
		return typeError("separators must be strings")
	}
	return nil
}

func (w *jsonWriter) value(v Value, depth int) error {
	if err := w.r.deeper(depth); err != nil {
		return err
	}
	switch v := v.(type) {
	case String:
		w.text(v)
	case *List:
		return w.array(v.items, depth)
	case *Tuple:
		return w.array(v.items, depth)
	case *Dict:
		return w.object(v, depth)
	default:
		text, ok := jsonScalar(v)
		if !ok {
			return typeError("Object of type %s is not JSON serializable", v.typeName())
		}
		w.b.text(text)
	}
	return nil
}

// jsonScalar writes null, truth values and numbers as json.dumps does.
func jsonScalar(v Value) (string, bool) {
	switch v := v.(type) {
	case None:
		return "null", true
	case Bool:
		if v {
			return "true", true
		}
		return "false", true
	case Int, BigInt:
		return scalarRepr(v), true
	case Float:
		switch f := float64(v); {
		case math.IsNaN(f):
			return "NaN", true
		case math.IsInf(f, 1):
			return "Infinity", true
		case math.IsInf(f, -1):
			return "-Infinity", true
		}
		return scalarRepr(v), true
	}
	return "", false
}

func (w *jsonWriter) array(items []Value, depth int) error {
	if len(items) == 0 {
		w.b.text("[]")
		return nil
	}
	w.b.text("[")
	for i, item := range items {
		w.between(i, depth+1)
		if err := w.value(item, depth+1); err != nil {
			return err
		}
	}
	w.line(depth)
	w.b.text("]")
	return nil
}

func (w *jsonWriter) object(d *Dict, depth int) error {
	if d.Len() == 0 {
		w.b.text("{}")
		return nil
	}
	entries, err := w.entries(d)
	if err != nil {
		return err
	}
	w.b.text("{")
	for i, e := range entries {
		w.between(i, depth+1)
		if err := w.key(e.key); err != nil {
			return err
		}
		w.b.add(w.colon)
		if err := w.value(e.value, depth+1); err != nil {
			return err
		}
	}
	w.line(depth)
	w.b.text("}")
	return nil
}

func (w *jsonWriter) entries(d *Dict) ([]keyedItem, error) {
	items := make([]keyedItem, d.Len())
	for i, e := range d.entries {
		items[i] = keyedItem{key: e.key, value: e.value}
	}
	if !w.sorted {
		return items, nil
	}
	return items, w.r.sortKeyed(items, false)
}

func (w *jsonWriter) key(key Value) error {
	if s, ok := key.(String); ok {
		w.text(s)
		return nil
	}
	text, ok := jsonScalar(key)
	if !ok {
		return typeError("keys must be str, int, float, bool or None, not %s", key.typeName())
	}
	w.text(Text(text))
	return nil
}

// between goes to the place of item i.
func (w *jsonWriter) between(i, depth int) {
	if i > 0 {
		w.b.add(w.comma)
	}
	w.line(depth)
}

// line begins an indented line, where there are lines.
func (w *jsonWriter) line(depth int) {
	if w.lines {
		w.b.text("\n")
		w.b.repeat(w.indent, w.width*depth)
	}
}

// text writes a quoted string, its marks kept.
func (w *jsonWriter) text(s String) {
	w.b.text(`"`)
	for _, seg := range s.Segments() {
		w.b.data(w.escape(seg.Text), !seg.Trusted)
	}
	w.b.text(`"`)
}

// jsonEscapes are the short escapes.
var jsonEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

func (w *jsonWriter) plain(c rune) bool {
	return c >= ' ' && c != '"' && c != '\\' && (!w.ascii || c < 0x7f)
}

func (w *jsonWriter) escape(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return !w.plain(c) }) < 0 {
		return s
	}
	var out strings.Builder
	for _, c := range s {
		switch short := jsonEscapes[c]; {
		case w.plain(c):
			out.WriteRune(c)
		case short != "":
			out.WriteString(short)
		default:
			writeUTF16(&out, c)
		}
	}
	return out.String()
}

// writeUTF16 writes c as one or two \u escapes.
func writeUTF16(out *strings.Builder, c rune) {
	const hex = "0123456789abcdef"
	units := []rune{c}
	if c > 0xffff {
		high, low := utf16.EncodeRune(c)
		units = []rune{high, low}
	}
	for _, u := range units {
		out.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			out.WriteByte(hex[u>>shift&15])
		}
	}
}
