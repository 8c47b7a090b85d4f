package jinja

import (
	"math"
	"math/big"
	"math/bits"
)

// BigInt is an integer beyond 64 bits.
type BigInt struct{ n *big.Int }

func (BigInt) typeName() string { return "int" }

// NewBigInt is the integer n, as an Int where it fits.
func NewBigInt(n *big.Int) Value {
	if n.IsInt64() {
		return Int(n.Int64())
	}
	return BigInt{n: new(big.Int).Set(n)}
}

// Float is the nearest float64, infinite where there is none.
func (b BigInt) Float() float64 { return number{kind: 'b', b: b.n}.float() }

// String is the integer in decimal.
func (b BigInt) String() string { return b.n.String() }

// number is an operand of arithmetic; one of the three is meant by kind.
type number struct {
	kind byte // 'i': small, 'b': large, 'f': float
	i    int64
	b    *big.Int
	f    float64
}

// numberOf reads a number or truth value.
func numberOf(v Value) (number, bool) {
	switch v := v.(type) {
	case Bool:
		return number{kind: 'i', i: asInt(v)}, true
	case Int:
		return number{kind: 'i', i: int64(v)}, true
	case BigInt:
		return number{kind: 'b', b: v.n}, true
	case Float:
		return number{kind: 'f', f: float64(v)}, true
	}
	return number{}, false
}

func asInt(b Bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (n number) big() *big.Int {
	if n.kind == 'b' {
		return n.b
	}
	return big.NewInt(n.i)
}

func (n number) float() float64 {
	switch n.kind {
	case 'i':
		return float64(n.i)
	case 'b':
		f, _ := new(big.Float).SetInt(n.b).Float64()
		return f
	}
	return n.f
}

func (n number) zero() bool {
	return n.kind == 'i' && n.i == 0 || n.kind == 'f' && n.f == 0
}

// arithmetic applies one of + - * / // % ** to two numbers.
func arithmetic(op string, a, b number) (Value, error) {
	if b.zero() && (op == "/" || op == "//" || op == "%") {
		return nil, zeroDivision(op, a, b)
	}
	switch {
	case op == "/":
		return Float(a.float() / b.float()), nil
	case a.kind == 'f' || b.kind == 'f':
		return floatArithmetic(op, a.float(), b.float())
	case op == "**":
		return power(a, b)
	}
	if a.kind == 'i' && b.kind == 'i' {
		if n, ok := smallArithmetic(op, a.i, b.i); ok {
			return Int(n), nil
		}
	}
	return bigArithmetic(op, a.big(), b.big())
}

func zeroDivision(op string, a, b number) error {
	message := "division by zero"
	switch float := a.kind == 'f' || b.kind == 'f'; {
	case op == "%" && !float:
		message = "integer modulo by zero"
	case op == "%":
		message = "float modulo by zero"
	case op == "//" && !float:
		message = "integer division or modulo by zero"
	case op == "//":
		message = "float floor division by zero"
	case float:
		message = "float division by zero"
	}
	return &RuntimeError{Class: "ZeroDivisionError", Message: message}
}

// smallArithmetic is false where the result would not fit.
func smallArithmetic(op string, a, b int64) (int64, bool) {
	switch op {
	case "+":
		c := a + b
		return c, (c > a) == (b > 0)
	case "-":
		c := a - b
		return c, (c < a) == (b > 0)
	case "*":
		return smallProduct(a, b)
	}
	if a == math.MinInt64 && b == -1 {
		return 0, false
	}
	quotient, rest := a/b, a%b
	if rest != 0 && (rest < 0) != (b < 0) {
		quotient, rest = quotient-1, rest+b
	}
	if op == "//" {
		return quotient, true
	}
	return rest, true
}

func smallProduct(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 || low > math.MaxInt64 {
		return 0, false
	}
	return a * b, true
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func bigArithmetic(op string, a, b *big.Int) (Value, error) {
	if a.BitLen()+b.BitLen() > maxIntBits {
		return nil, &LimitError{What: "bits of an integer", Limit: maxIntBits}
	}
	c := new(big.Int)
	switch op {
	case "+":
		return NewBigInt(c.Add(a, b)), nil
	case "-":
		return NewBigInt(c.Sub(a, b)), nil
	case "*":
		return NewBigInt(c.Mul(a, b)), nil
	}
	rest := new(big.Int)
	c.QuoRem(a, b, rest)
	if rest.Sign() != 0 && (rest.Sign() < 0) != (b.Sign() < 0) {
		c.Sub(c, big.NewInt(1))
		rest.Add(rest, b)
	}
	if op == "//" {
		return NewBigInt(c), nil
	}
	return NewBigInt(rest), nil
}

func floatArithmetic(op string, a, b float64) (Value, error) {
	switch op {
	case "+":
		return Float(a + b), nil
	case "-":
		return Float(a - b), nil
	case "*":
		return Float(a * b), nil
	case "//":
		return Float(math.Floor(a / b)), nil
	case "%":
		return Float(floorMod(a, b)), nil
	}
	return floatPower(a, b)
}

// floorMod takes its sign from b, as Python's %.
func floorMod(a, b float64) float64 {
	rest := math.Mod(a, b)
	if rest != 0 && (rest < 0) != (b < 0) {
		return rest + b
	}
	return rest
}

func floatPower(a, b float64) (Value, error) {
	if a == 0 && b < 0 {
		return nil, &RuntimeError{Class: "ZeroDivisionError", Message: "zero to a negative power"}
	}
	c := math.Pow(a, b)
	if math.IsNaN(c) && !math.IsNaN(a) && !math.IsNaN(b) {
		return nil, valueError("a negative number to a fractional power is not a real number")
	}
	if math.IsInf(c, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		return nil, overflowError("(34, 'Numerical result out of range')")
	}
	return Float(c), nil
}

// power is a**b of integers: a float for a negative exponent.
func power(a, b number) (Value, error) {
	if b.big().Sign() < 0 {
		return floatPower(a.float(), b.float())
	}
	base, exponent := a.big(), b.big()
	if base.BitLen() <= 1 {
		return unitPower(base, exponent), nil
	}
	if !exponent.IsInt64() || exponent.Int64() > maxIntBits/int64(base.BitLen()) {
		return nil, &LimitError{What: "bits of an integer", Limit: maxIntBits}
	}
	return NewBigInt(new(big.Int).Exp(base, exponent, nil)), nil
}

// unitPower is base**exponent for a base of -1, 0 or 1.
func unitPower(base, exponent *big.Int) Value {
	switch {
	case exponent.Sign() == 0:
		return Int(1)
	case base.Sign() < 0 && exponent.Bit(0) == 0:
		return Int(1)
	}
	return Int(base.Int64())
}
