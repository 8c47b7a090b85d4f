package jinja

import (
	"strconv"
	"strings"
)

// braceFormat is one run of str.format.
type braceFormat struct {
	c    *call
	b    *builder
	next int // automatic field number
}

// textFormat is str.format(*args, **kwargs).
func textFormat(c *call) (Value, error) {
	f := &braceFormat{c: c, b: c.r.builder()}
	if err := f.run(c.self(), 2); err != nil {
		return nil, err
	}
	return f.b.value()
}

// run formats a string; levels is how deep fields may still nest.
func (f *braceFormat) run(s String, levels int) error {
	for at := 0; at < len(s.text); {
		if err := f.c.r.step(1); err != nil {
			return err
		}
		i := strings.IndexAny(s.text[at:], "{}")
		if i < 0 {
			f.b.add(s.from(at))
			return nil
		}
		f.b.add(s.slice(at, at+i))
		at += i
		if strings.HasPrefix(s.text[at+1:], s.text[at:at+1]) {
			f.b.add(s.slice(at, at+1))
			at += 2
			continue
		}
		if s.text[at] == '}' {
			return valueError("Single '}' encountered in format string")
		}
		end := fieldEnd(s.text[at:])
		if end < 0 {
			return valueError("expected '}' before end of string")
		}
		if err := f.field(s.slice(at+1, at+end), levels); err != nil {
			return err
		}
		at += end + 1
	}
	return nil
}

// fieldEnd is where the brace that s begins with is closed, or -1.
func fieldEnd(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// field formats name!conversion:spec.
func (f *braceFormat) field(field String, levels int) error {
	if levels == 0 {
		return valueError("Max string recursion exceeded")
	}
	name, spec := field, String{}
	if i := strings.IndexByte(field.text, ':'); i >= 0 {
		name, spec = field.slice(0, i), field.from(i+1)
	}
	conversion := byte(0)
	if i := strings.IndexByte(name.text, '!'); i >= 0 {
		if i+2 != len(name.text) || strings.IndexByte("sra", name.text[i+1]) < 0 {
			return valueError("expected ':' after conversion specifier")
		}
		conversion, name = name.text[i+1], name.slice(0, i)
	}
	v, err := f.lookup(name.text)
	if err != nil {
		return err
	}
	if conversion != 0 {
		if v, err = f.c.r.convertText(conversion, v); err != nil {
			return err
		}
	}
	if strings.Contains(spec.text, "{") {
		if spec, err = f.inner(spec, levels); err != nil {
			return err
		}
	}
	return f.write(v, spec)
}

// inner formats the fields inside a spec.
func (f *braceFormat) inner(spec String, levels int) (String, error) {
	outer := f.b
	f.b = f.c.r.builder()
	err := f.run(spec, levels-1)
	text, over := f.b.string()
	f.b = outer
	if err != nil {
		return text, err
	}
	return text, over
}

// lookup resolves a field's name such as "0", "", "user.name" or "a[key]".
func (f *braceFormat) lookup(name string) (Value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	v, err := f.argument(name[:end])
	for path := name[end:]; err == nil && path != ""; {
		if path[0] == '.' {
			end := nextPart(path[1:]) + 1
			v, err = f.c.r.getattr(v, path[1:end])
			path = path[end:]
			continue
		}
		end := strings.IndexByte(path, ']')
		if path[0] != '[' || end < 0 {
			return nil, valueError("Missing ']' in format string")
		}
		v, err = f.c.r.getitem(v, pathKey(path[1:end]))
		path = path[end+1:]
	}
	return v, err
}

func nextPart(path string) int {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return i
	}
	return len(path)
}

func (f *braceFormat) argument(name string) (Value, error) {
	if name == "" {
		name = strconv.Itoa(f.next)
		f.next++
	}
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= len(f.c.rest) {
			return nil, &RuntimeError{Class: "IndexError", Message: "Replacement index " + name + " out of range for positional args tuple"}
		}
		return f.c.rest[i], nil
	}
	for _, arg := range f.c.kwargs {
		if arg.name == name {
			return arg.value, nil
		}
	}
	return nil, &RuntimeError{Class: "KeyError", Message: quote(name)}
}

// write formats one value by a spec.
func (f *braceFormat) write(v Value, text String) error {
	spec, err := parseSpec(text)
	if err != nil {
		return err
	}
	n, ok := numberOf(v)
	if _, isBool := v.(Bool); !ok || isBool && text.text == "" {
		return f.writeOther(v, spec, text)
	}
	if spec.align == 0 {
		spec.align = '>'
	}
	switch {
	case n.kind == 'f' || strings.IndexByte("eEfFgG%", spec.kind) >= 0 && spec.kind != 0:
		return writeFloat(f.b, spec, n.float())
	case spec.kind == 'c' && n.kind == 'i' && n.i >= 0 && n.i <= 0x10ffff:
		spec.write(f.b, String{}, Text(string(rune(n.i))))
		return nil
	case spec.kind == 0:
		spec.kind = 'd'
	}
	if integerBases[spec.kind] == 0 {
		return valueError("Unknown format code '%c' for object of type '%s'", spec.kind, v.typeName())
	}
	return writeInteger(f.b, spec, n)
}

func (f *braceFormat) writeOther(v Value, spec directiveSpec, text String) error {
	if _, ok := v.(String); !ok && text.text != "" {
		return typeError("unsupported format string passed to %s.__format__", v.typeName())
	}
	if spec.kind != 0 && spec.kind != 's' {
		return valueError("Unknown format code '%c' for object of type 'str'", spec.kind)
	}
	if spec.align == 0 {
		spec.align = '<'
	}
	s, err := f.c.r.str(v)
	if err != nil {
		return err
	}
	f.c.r.writeText(f.b, spec, s)
	return nil
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][letter].
func parseSpec(text String) (directiveSpec, error) {
	spec := directiveSpec{fill: Text(" "), precision: -1}
	s := spec.alignment(text).text
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		spec.sign, s = s[0], s[1:]
	}
	spec.alternate, s = cutFlag(s, "#")
	if spec.zero, s = cutFlag(s, "0"); spec.zero && spec.align != 0 {
		spec.zero = false // an explicit alignment decides
	}
	spec.width, s = cutNumber(s, 0)
	if s != "" && (s[0] == ',' || s[0] == '_') {
		spec.comma, s = s[0], s[1:]
	}
	if point, rest := cutFlag(s, "."); point {
		if spec.precision, s = cutNumber(rest, -1); spec.precision < 0 {
			return spec, valueError("Format specifier missing precision")
		}
	}
	if len(s) > 1 {
		return spec, valueError("Invalid format specifier")
	}
	if s != "" {
		spec.kind = s[0]
	}
	return spec, nil
}

// alignment takes fill and alignment off the front of a spec.
func (spec *directiveSpec) alignment(text String) String {
	first := text.offset(1)
	if first < len(text.text) && strings.IndexByte("<>^=", text.text[first]) >= 0 {
		spec.fill, spec.align = text.slice(0, first), text.text[first]
		return text.from(first + 1)
	}
	if text.text != "" && strings.IndexByte("<>^=", text.text[0]) >= 0 {
		spec.align = text.text[0]
		return text.from(1)
	}
	return text
}

func cutFlag(s, flag string) (bool, string) {
	rest, found := strings.CutPrefix(s, flag)
	return found, rest
}

// cutNumber takes a number off the front of s; absent is what none means.
func cutNumber(s string, absent int) (int, string) {
	n := 0
	for n < len(s) && isDecimal(s[n]) {
		n++
	}
	if n == 0 {
		return absent, s
	}
	value, err := strconv.Atoi(s[:n])
	if err != nil {
		value = maxStride
	}
	return min(value, maxStride), s[n:]
}
