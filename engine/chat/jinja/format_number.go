package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// maxPrecision bounds the digits behind the point.
const maxPrecision = 400

// integerBases are the bases of the conversion letters.
var integerBases = map[byte]int{'d': 10, 'i': 10, 'u': 10, 'n': 10, 'b': 2, 'o': 8, 'x': 16, 'X': 16}

// writeInteger formats an integer by the letters d i u n b o x X.
func writeInteger(b *builder, spec directiveSpec, n number) error {
	i, err := truncated(n)
	if err != nil {
		return err
	}
	text := new(big.Int).Abs(i).Text(integerBases[spec.kind])
	prefix := spec.signOf(i.Sign() < 0)
	if spec.alternate && integerBases[spec.kind] != 10 {
		prefix += "0" + string(spec.kind)
	}
	if spec.kind == 'X' {
		text = strings.ToUpper(text)
	}
	if missing := min(spec.precision, maxPrecision) - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	spec.zeroed().write(b, Text(prefix), Text(spec.grouped(text)))
	return nil
}

func (spec directiveSpec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case spec.sign == '+' || spec.sign == ' ':
		return string(spec.sign)
	}
	return ""
}

// grouped sets the thousands of a decimal number apart.
func (spec directiveSpec) grouped(text string) string {
	if spec.comma == 0 {
		return text
	}
	whole := digits(text, isDecimal)
	tail := text[whole:]
	text = text[:whole]
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + string(spec.comma) + text[i:]
	}
	return text + tail
}

// writeFloat formats a float by the letters e E f F g G and %.
func writeFloat(b *builder, spec directiveSpec, f float64) error {
	negative := math.Signbit(f) && f == f
	text := spec.float(math.Abs(f))
	if spec.kind == 'E' || spec.kind == 'F' || spec.kind == 'G' {
		text = strings.ToUpper(text)
	}
	spec.zeroed().write(b, Text(spec.signOf(negative)), Text(spec.grouped(text)))
	return nil
}

// float is a number that is not negative, in the layout of the letter.
func (spec directiveSpec) float(f float64) string {
	precision := 6
	if spec.precision >= 0 {
		precision = min(spec.precision, maxPrecision)
	}
	suffix := ""
	if spec.kind == '%' {
		f, suffix = f*100, "%"
	}
	switch {
	case math.IsInf(f, 0):
		return "inf" + suffix
	case math.IsNaN(f):
		return "nan" + suffix
	}
	switch spec.kind {
	case 'e', 'E':
		return strconv.FormatFloat(f, 'e', precision, 64)
	case 'g', 'G':
		return strconv.FormatFloat(f, 'g', max(1, precision), 64)
	case 0:
		return spec.general(f)
	}
	return strconv.FormatFloat(f, 'f', precision, 64) + suffix
}

// general is a float without a letter: as str prints it, or to so many digits.
func (spec directiveSpec) general(f float64) string {
	if spec.precision < 0 {
		return floatRepr(f)
	}
	text := strconv.FormatFloat(f, 'g', max(1, min(spec.precision, maxPrecision)), 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}
