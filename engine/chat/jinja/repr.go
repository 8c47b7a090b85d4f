package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v).
func (r *render) str(v Value) (String, error) {
	switch v := v.(type) {
	case String:
		return v, nil
	case *Undefined:
		return String{}, nil
	}
	b := r.builder()
	writeRepr(b, v, 0)
	s, err := b.string()
	if err != nil {
		return s, err
	}
	return s, r.step(len(s.text)/costBytes + size(v))
}

// repr is Python's repr(v) in at most limit bytes.
func repr(v Value, limit int) (String, error) {
	b := &builder{max: limit}
	writeRepr(b, v, 0)
	return b.string()
}

// writeRepr appends repr(v); what nests too deep overflows the builder.
func writeRepr(b *builder, v Value, depth int) {
	if depth > maxValueDepth || b.over {
		b.over = true
		return
	}
	switch v := v.(type) {
	case String:
		b.data(quote(v.text), len(v.taint) > 0)
	case *List:
		writeItems(b, "[", v.items, "]", depth)
	case *Tuple:
		writeItems(b, "(", v.items, tupleEnd(v), depth)
	case *Dict:
		writeDict(b, v, depth)
	case *View:
		writeItems(b, v.kind+"([", v.items, "])", depth)
	case *Namespace:
		b.text("<Namespace ")
		writeDict(b, v.attrs, depth)
		b.text(">")
	default:
		b.text(scalarRepr(v))
	}
}

func tupleEnd(t *Tuple) string {
	if len(t.items) == 1 {
		return ",)"
	}
	return ")"
}

func writeItems(b *builder, open string, items []Value, end string, depth int) {
	b.text(open)
	for i, item := range items {
		if i > 0 {
			b.text(", ")
		}
		writeRepr(b, item, depth+1)
		if b.over {
			return
		}
	}
	b.text(end)
}

func writeDict(b *builder, d *Dict, depth int) {
	b.text("{")
	for i, e := range d.entries {
		if i > 0 {
			b.text(", ")
		}
		writeRepr(b, e.key, depth+1)
		b.text(": ")
		writeRepr(b, e.value, depth+1)
		if b.over {
			return
		}
	}
	b.text("}")
}

func scalarRepr(v Value) string {
	switch v := v.(type) {
	case None:
		return "None"
	case Bool:
		if v {
			return "True"
		}
		return "False"
	case Int:
		return strconv.FormatInt(int64(v), 10)
	case BigInt:
		return v.n.String()
	case Float:
		return floatRepr(float64(v))
	case *Undefined:
		return "Undefined"
	case *Range:
		return rangeRepr(v)
	case *macro:
		return "<Macro " + quote(v.name) + ">"
	case *loop:
		return fmt.Sprintf("<LoopContext %d/%d>", v.at+1, len(v.items))
	}
	return "<" + v.typeName() + " object>"
}

func rangeRepr(g *Range) string {
	if g.stride != 1 {
		return fmt.Sprintf("range(%d, %d, %d)", g.start, g.stop, g.stride)
	}
	return fmt.Sprintf("range(%d, %d)", g.start, g.stop)
}

// floatRepr is the shortest decimal that reads back as f, in Python's layout.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote is Python's repr of a string.
func quote(s string) string {
	mark := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		mark = '"'
	}
	out := make([]byte, 0, len(s)+2)
	out = append(out, mark)
	for _, c := range s {
		out = appendQuoted(out, c, mark)
	}
	return string(append(out, mark))
}

func appendQuoted(out []byte, c rune, mark byte) []byte {
	switch {
	case c == rune(mark) || c == '\\':
		return append(out, '\\', byte(c))
	case c == '\n':
		return append(out, `\n`...)
	case c == '\r':
		return append(out, `\r`...)
	case c == '\t':
		return append(out, `\t`...)
	case unicode.IsPrint(c):
		return append(out, string(c)...)
	}
	return appendEscape(out, c)
}

// appendEscape writes c as Python's shortest \x, \u or \U escape.
func appendEscape(out []byte, c rune) []byte {
	switch {
	case c < 0x100:
		return fmt.Appendf(out, `\x%02x`, c)
	case c < 0x10000:
		return fmt.Appendf(out, `\u%04x`, c)
	}
	return fmt.Appendf(out, `\U%08x`, c)
}
