package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// filterFloat is float(value), or the default where that fails.
func filterFloat(c *call) (Value, error) {
	if f, ok := toFloat(c.args[0]); ok {
		return Float(f), nil
	}
	return c.other(1, Float(0))
}

// other is argument i, or v if it was not given; an undefined value fails.
func (c *call) other(i int, v Value) (Value, error) {
	if u, ok := c.args[0].(*Undefined); ok {
		return nil, u.fail()
	}
	if c.args[i] != nil {
		return c.args[i], nil
	}
	return v, nil
}

func toFloat(v Value) (float64, bool) {
	if n, ok := numberOf(v); ok {
		return n.float(), true
	}
	s, ok := v.(String)
	if !ok {
		return 0, false
	}
	text := strings.TrimFunc(s.text, isSpace)
	if strings.ContainsAny(text, "xXpP") { // Go reads hexadecimal floats, Python does not
		return 0, false
	}
	f, err := strconv.ParseFloat(plainDigits(text), 64)
	return f, err == nil || math.IsInf(f, 0)
}

// plainDigits takes out underscores between digits.
func plainDigits(s string) string {
	for i := 1; i+1 < len(s); i++ {
		if s[i] == '_' && isDecimal(s[i-1]) && isDecimal(s[i+1]) {
			s = s[:i] + s[i+1:]
		}
	}
	return s
}

// filterInt is int(value), or the default where that fails.
func filterInt(c *call) (Value, error) {
	base, err := c.int(2, 10)
	if err != nil {
		return nil, err
	}
	switch v := c.args[0].(type) {
	case Bool:
		return Int(asInt(v)), nil
	case Int, BigInt:
		return v, nil
	case String:
		if n, ok := parseInt(v.text, base); ok {
			return n, nil
		}
	}
	if f, ok := toFloat(c.args[0]); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		n, _ := big.NewFloat(f).Int(nil)
		return NewBigInt(n), nil
	}
	return c.other(1, Int(0))
}

// parseInt is Python's int(text, base).
func parseInt(text string, base int) (Value, bool) {
	text = strings.ToLower(plainDigits(strings.TrimFunc(text, isSpace)))
	sign := ""
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		sign, text = text[:1], text[1:]
	}
	switch prefix := map[int]string{2: "0b", 8: "0o", 16: "0x"}[base]; {
	case prefix != "":
		text = strings.TrimPrefix(text, prefix)
	case base < 2 && base != 0 || base > 36:
		return nil, false
	}
	if text == "" || strings.ContainsAny(text, "+-_") || len(text) > maxIntBits/4 {
		return nil, false
	}
	n, ok := new(big.Int).SetString(sign+text, base)
	if !ok {
		return nil, false
	}
	return NewBigInt(n), true
}

// filterRound rounds half to even (common), up (ceil) or down (floor).
func filterRound(c *call) (Value, error) {
	precision, err := c.int(1, 0)
	if err != nil {
		return nil, err
	}
	precision = min(max(precision, -400), 400)
	method, err := c.text(2)
	if err != nil {
		return nil, err
	}
	if u, ok := c.args[0].(*Undefined); ok {
		return nil, u.fail()
	}
	n, ok := numberOf(c.args[0])
	if !ok {
		return nil, typeError("type %s doesn't define __round__ method", c.args[0].typeName())
	}
	scale := math.Pow(10, float64(precision))
	switch method.text {
	case "", "common":
		return roundCommon(n, precision)
	case "ceil":
		return Float(math.Ceil(n.float()*scale) / scale), nil
	case "floor":
		return Float(math.Floor(n.float()*scale) / scale), nil
	}
	return nil, &RuntimeError{Class: "FilterArgumentError", Message: "method must be common, ceil or floor"}
}

func roundCommon(n number, precision int) (Value, error) {
	switch {
	case n.kind == 'f' && precision < 0:
		scale := math.Pow(10, float64(-precision))
		return Float(math.RoundToEven(n.f/scale) * scale), nil
	case n.kind == 'f':
		f, _ := strconv.ParseFloat(strconv.FormatFloat(n.f, 'f', precision, 64), 64)
		return Float(f), nil
	case precision >= 0:
		return NewBigInt(n.big()), nil
	}
	return roundInt(n.big(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-precision)), nil)), nil
}

// roundInt is n rounded to a multiple of unit, half to even.
func roundInt(n, unit *big.Int) Value {
	quotient, rest := new(big.Int).DivMod(n, unit, new(big.Int))
	switch half := new(big.Int).Lsh(rest, 1).Cmp(unit); {
	case half > 0, half == 0 && quotient.Bit(0) == 1:
		quotient.Add(quotient, big.NewInt(1))
	}
	return NewBigInt(quotient.Mul(quotient, unit))
}
