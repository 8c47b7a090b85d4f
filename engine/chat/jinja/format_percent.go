package jinja

import (
	"math/big"
	"strings"
	"unicode/utf8"
)

// percentFormat is one run of the % operator on a string.
type percentFormat struct {
	r       *render
	b       *builder
	format  String
	at      int
	args    []Value
	mapping *Dict
	used    int
}

// directiveSpec is what stands between % and the conversion letter, or behind
// the colon of a {} field.
type directiveSpec struct {
	fill      String
	align     byte // < > ^ = or 0
	sign      byte // + - blank or 0
	alternate bool
	zero      bool
	width     int
	comma     byte // , or _ between thousands, or 0
	precision int  // -1 if absent
	kind      byte // conversion letter, or 0
}

// percent is Python's format % args.
func (r *render) percent(format String, args Value) (Value, error) {
	p := &percentFormat{r: r, b: r.builder(), format: format, args: []Value{args}}
	switch args := args.(type) {
	case *Tuple:
		p.args = args.items
	case *Dict:
		p.mapping = args
	}
	for p.at < len(format.text) {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	_, list := args.(*List)
	if p.used < len(p.args) && p.mapping == nil && !list {
		return nil, typeError("not all arguments converted during string formatting")
	}
	v, err := p.b.value()
	if err != nil {
		return nil, err
	}
	return v, r.touch(v, format)
}

// next copies text up to a directive, and formats that.
func (p *percentFormat) next() error {
	if err := p.r.step(1); err != nil {
		return err
	}
	rest := p.format.text[p.at:]
	i := strings.IndexByte(rest, '%')
	if i < 0 {
		i = len(rest)
	}
	p.b.add(p.format.slice(p.at, p.at+i))
	if p.at += i; i == len(rest) {
		return nil
	}
	p.at++
	return p.directive()
}

func (p *percentFormat) directive() error {
	key, err := p.key()
	if err != nil {
		return err
	}
	spec, err := p.spec()
	if err != nil {
		return err
	}
	if spec.kind == '%' {
		p.b.text("%")
		return nil
	}
	v, err := p.value(key)
	if err != nil {
		return err
	}
	return p.convert(spec, v)
}

func (p *percentFormat) byte() byte {
	if p.at < len(p.format.text) {
		return p.format.text[p.at]
	}
	return 0
}

// key reads (name); nil if there is none.
func (p *percentFormat) key() (Value, error) {
	if p.byte() != '(' {
		return nil, nil
	}
	end := strings.IndexByte(p.format.text[p.at:], ')')
	if end < 0 {
		return nil, valueError("incomplete format key")
	}
	name := p.format.slice(p.at+1, p.at+end)
	p.at += end + 1
	return name, nil
}

func (p *percentFormat) spec() (directiveSpec, error) {
	spec := directiveSpec{fill: Text(" "), align: '>', precision: -1}
	p.flags(&spec)
	var err error
	if spec.width, err = p.size(); err != nil {
		return spec, err
	}
	if spec.width < 0 {
		spec.align, spec.width = '<', -spec.width
	}
	if p.byte() == '.' {
		p.at++
		if spec.precision, err = p.size(); err != nil {
			return spec, err
		}
	}
	for strings.IndexByte("hlL", p.byte()) >= 0 && p.byte() != 0 {
		p.at++
	}
	if spec.kind = p.byte(); spec.kind == 0 {
		return spec, valueError("incomplete format")
	}
	p.at++
	return spec, nil
}

func (p *percentFormat) flags(spec *directiveSpec) {
	for ; ; p.at++ {
		switch c := p.byte(); c {
		case '#':
			spec.alternate = true
		case '0':
			spec.zero = true
		case '-':
			spec.align = '<'
		case '+':
			spec.sign = '+'
		case ' ':
			if spec.sign == 0 {
				spec.sign = ' '
			}
		default:
			return
		}
	}
}

// size reads a width or precision: digits, or * for the next argument.
func (p *percentFormat) size() (int, error) {
	if p.byte() == '*' {
		p.at++
		v, err := p.value(nil)
		if err != nil {
			return 0, err
		}
		return index(v)
	}
	n := 0
	for ; isDecimal(p.byte()); p.at++ {
		n = min(n*10+int(p.byte()-'0'), maxStride)
	}
	return n, nil
}

// value is the argument a directive formats.
func (p *percentFormat) value(key Value) (Value, error) {
	if key != nil {
		if p.mapping == nil {
			return nil, typeError("format requires a mapping")
		}
		v, ok := p.mapping.Get(key.(String).text)
		if !ok {
			return nil, &RuntimeError{Class: "KeyError", Message: quote(key.(String).text)}
		}
		return v, nil
	}
	if p.used >= len(p.args) {
		return nil, typeError("not enough arguments for format string")
	}
	p.used++
	return p.args[p.used-1], nil
}

func (p *percentFormat) convert(spec directiveSpec, v Value) error {
	switch spec.kind {
	case 's', 'r', 'a':
		text, err := p.r.convertText(spec.kind, v)
		if err != nil {
			return err
		}
		p.r.writeText(p.b, spec, text)
		return nil
	case 'c':
		return p.char(spec, v)
	}
	n, ok := numberOf(v)
	switch {
	case strings.IndexByte("diuoxX", spec.kind) >= 0:
		if !ok {
			return typeError("%%%c format: a real number is required, not %s", spec.kind, v.typeName())
		}
		return writeInteger(p.b, spec, n)
	case strings.IndexByte("eEfFgG", spec.kind) >= 0:
		if !ok {
			return typeError("must be real number, not %s", v.typeName())
		}
		return writeFloat(p.b, spec, n.float())
	}
	return valueError("unsupported format character '%c' (0x%x) at index %d", spec.kind, spec.kind, p.at-1)
}

// convertText is str (s), repr (r) or ascii (a) of v.
func (r *render) convertText(kind byte, v Value) (String, error) {
	if kind == 's' {
		return r.str(v)
	}
	text, err := repr(v, r.limits.OutputBytes)
	if err == nil && kind == 'a' {
		text = text.rewrite(asciiOnly(text.text))
	}
	return text, err
}

func asciiOnly(s string) string {
	out := make([]byte, 0, len(s))
	for _, c := range s {
		if c < utf8.RuneSelf {
			out = append(out, byte(c))
		} else {
			out = appendEscape(out, c)
		}
	}
	return string(out)
}

func (p *percentFormat) char(spec directiveSpec, v Value) error {
	switch v := v.(type) {
	case String:
		if v.runes() == 1 {
			p.r.writeText(p.b, spec, v)
			return nil
		}
	case Int:
		if v >= 0 && v <= utf8.MaxRune {
			p.r.writeText(p.b, spec, Text(string(rune(v))))
			return nil
		}
		return overflowError("%%c arg not in range(0x110000)")
	}
	return typeError("%%c requires int or char")
}

// writeText pads and cuts a string to width and precision.
func (r *render) writeText(b *builder, spec directiveSpec, s String) {
	if spec.precision >= 0 {
		s = s.slice(0, s.offset(spec.precision))
	}
	spec.write(b, String{}, s)
}

// write puts body, with its sign or prefix in front, into the field.
func (spec directiveSpec) write(b *builder, prefix, body String) {
	missing := 0
	if n := prefix.runes() + body.runes(); spec.width > n {
		missing = spec.width - n
	}
	before, between, after := 0, 0, 0
	switch spec.align {
	case '<':
		after = missing
	case '^':
		before, after = missing/2, missing-missing/2
	case '=':
		between = missing
	default:
		before = missing
	}
	b.repeat(spec.fill, before)
	b.add(prefix)
	b.repeat(spec.fill, between)
	b.add(body)
	b.repeat(spec.fill, after)
}

// zeroed is the spec with zeros as padding where the 0 flag asks for them.
func (spec directiveSpec) zeroed() directiveSpec {
	if spec.zero && spec.align != '<' {
		spec.fill, spec.align = Text("0"), '='
	}
	return spec
}

// truncated is the integer part of a number.
func truncated(n number) (*big.Int, error) {
	if n.kind != 'f' {
		return n.big(), nil
	}
	if n.f != n.f || n.f-n.f != 0 {
		return nil, valueError("cannot convert float NaN or infinity to integer")
	}
	i, _ := big.NewFloat(n.f).Int(nil)
	return i, nil
}
