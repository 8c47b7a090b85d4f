package jinja

import (
	"math/big"
	"strconv"
)

// expression parses a full expression, inline if included.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	value, err := p.or()
	for links := 0; err == nil && p.acceptName("if"); links++ {
		if err = p.chain(links); err == nil {
			value, err = p.condition(value)
		}
	}
	return value, err
}

// condition parses what follows "value if".
func (p *parser) condition(value expr) (expr, error) {
	line := p.peek().line
	test, err := p.or()
	if err != nil {
		return nil, err
	}
	var other expr
	if p.acceptName("else") {
		if other, err = p.expression(); err != nil {
			return nil, err
		}
	}
	return &condExpr{line: line, test: test, value: value, other: other}, nil
}

func (p *parser) or() (expr, error) {
	return p.infix(p.and, func() string { return p.keyword("or") })
}

func (p *parser) and() (expr, error) {
	return p.infix(p.not, func() string { return p.keyword("and") })
}

func (p *parser) keyword(name string) string {
	if p.acceptName(name) {
		return name
	}
	return ""
}

// oneOf takes the next operator if it is among ops.
func (p *parser) oneOf(ops ...string) func() string {
	return func() string {
		for _, op := range ops {
			if p.acceptOp(op) {
				return op
			}
		}
		return ""
	}
}

// infix parses a left-associative chain of operands.
func (p *parser) infix(operand func() (expr, error), operator func() string) (expr, error) {
	left, err := operand()
	for links := 0; err == nil; links++ {
		op := operator()
		if op == "" {
			return left, nil
		}
		if err = p.chain(links); err != nil {
			return nil, err
		}
		var right expr
		if right, err = operand(); err == nil {
			left = infixNode(op, left, right)
		}
	}
	return nil, err
}

func infixNode(op string, left, right expr) expr {
	switch op {
	case "and":
		return &andExpr{left: left, right: right}
	case "or":
		return &orExpr{left: left, right: right}
	case "+":
		if sum, ok := left.(*sumExpr); ok {
			sum.terms = append(sum.terms, right)
			return sum
		}
		return &sumExpr{terms: []expr{left, right}}
	}
	return &binaryExpr{op: op, left: left, right: right}
}

func (p *parser) not() (expr, error) {
	if !p.acceptName("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	of, err := p.not()
	return &notExpr{of: of}, err
}

func (p *parser) comparison() (expr, error) {
	first, err := p.sum()
	var links []comparison
	for err == nil {
		op := p.comparator()
		if op == "" {
			break
		}
		var right expr
		right, err = p.sum()
		links = append(links, comparison{op: op, right: right})
	}
	if err != nil || len(links) == 0 {
		return first, err
	}
	return &compareExpr{first: first, links: links}, nil
}

// comparator takes a comparison operator; "not in" is one.
func (p *parser) comparator() string {
	if op := p.oneOf("==", "!=", "<=", ">=", "<", ">")(); op != "" {
		return op
	}
	if p.acceptName("in") {
		return "in"
	}
	if p.isName("not") && p.peekNext().is(tokenName, "in") {
		p.at += 2
		return "not in"
	}
	return ""
}

func (p *parser) sum() (expr, error) {
	return p.infix(p.concatenation, p.oneOf("+", "-"))
}

func (p *parser) concatenation() (expr, error) {
	first, err := p.product()
	if err != nil || !p.isOp("~") {
		return first, err
	}
	parts := []expr{first}
	for p.acceptOp("~") {
		part, err := p.product()
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return &concatExpr{parts: parts}, nil
}

func (p *parser) product() (expr, error) {
	return p.infix(p.power, p.oneOf("*", "//", "/", "%"))
}

func (p *parser) power() (expr, error) {
	return p.infix(func() (expr, error) { return p.unary(true) }, p.oneOf("**"))
}

// unary parses an operand with its sign, postfixes and, if wanted, filters.
func (p *parser) unary(filters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	value, err := p.signed()
	if err == nil {
		value, err = p.postfix(value)
	}
	if err == nil && filters {
		value, err = p.filtered(value)
	}
	return value, err
}

func (p *parser) signed() (expr, error) {
	op := p.oneOf("-", "+")()
	if op == "" {
		return p.primary()
	}
	of, err := p.unary(false)
	return &unaryExpr{op: op, of: of}, err
}

// primary parses a literal, a name or a bracketed expression.
func (p *parser) primary() (expr, error) {
	t := p.take()
	switch {
	case t.kind == tokenName:
		return p.named(t.text), nil
	case t.kind == tokenText:
		for p.peek().kind == tokenText {
			t.text += p.take().text
		}
		return &constant{value: Text(t.text)}, nil
	case t.kind == tokenInt:
		return p.integer(t.text)
	case t.kind == tokenFloat:
		f, _ := strconv.ParseFloat(t.text, 64)
		return &constant{value: Float(f)}, nil
	case t.is(tokenOp, "("):
		return p.parentheses()
	case t.is(tokenOp, "["):
		items, err := p.items("]")
		if values, ok := constants(items); ok {
			return &constant{value: &List{items: values}}, err
		}
		return &listExpr{items: items}, err
	case t.is(tokenOp, "{"):
		return p.dict()
	}
	return nil, &SyntaxError{Line: t.line, Message: "unexpected '" + t.describe() + "'"}
}

func (p *parser) named(name string) expr {
	switch name {
	case "true", "True":
		return &constant{value: Bool(true)}
	case "false", "False":
		return &constant{value: Bool(false)}
	case "none", "None":
		return &constant{value: None{}}
	}
	p.mention(name)
	return &nameExpr{id: p.symbol(name), name: name}
}

func (p *parser) integer(text string) (expr, error) {
	base := 0
	if len(text) > maxIntBits { // parsing it would take the square of its length
		return nil, &LimitError{What: "bits of an integer", Limit: maxIntBits}
	}
	if n, ok := new(big.Int).SetString(text, base); ok && n.BitLen() <= maxIntBits {
		return &constant{value: NewBigInt(n)}, nil
	}
	return nil, p.fail("invalid integer %s", quote(text))
}

// parentheses parses a grouped expression or a tuple; "(" is taken.
func (p *parser) parentheses() (expr, error) {
	if p.acceptOp(")") {
		return &tupleExpr{}, nil
	}
	e, err := p.tuple(p.expression)
	if err != nil {
		return nil, err
	}
	return e, p.expectOp(")")
}

// tuple parses expressions set apart by commas: one alone without a comma is
// itself.
func (p *parser) tuple(item func() (expr, error)) (expr, error) {
	first, err := item()
	if err != nil || !p.isOp(",") {
		return first, err
	}
	items := []expr{first}
	for p.acceptOp(",") && !p.tupleEnds() {
		e, err := item()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	if values, ok := constants(items); ok {
		return &constant{value: &Tuple{items: values}}, nil
	}
	return &tupleExpr{items: items}, nil
}

// constants are the values of expressions that are all constant.
func constants(items []expr) ([]Value, bool) {
	values := make([]Value, len(items))
	for i, item := range items {
		c, ok := item.(*constant)
		if !ok {
			return nil, false
		}
		values[i] = c.value
	}
	return values, true
}

func (p *parser) tupleEnds() bool {
	t := p.peek()
	return t.kind == tokenVarEnd || t.kind == tokenTagEnd || t.is(tokenOp, ")") || t.is(tokenName, "in")
}

// items parses expressions up to the closing bracket.
func (p *parser) items(end string) ([]expr, error) {
	var items []expr
	for !p.acceptOp(end) {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.acceptOp(end) {
				break
			}
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	return items, nil
}

// dict parses {key: value, ...}; "{" is taken.
func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.acceptOp("}") {
		if len(d.pairs) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.acceptOp("}") {
				break
			}
		}
		pair, err := p.pair()
		if err != nil {
			return nil, err
		}
		d.pairs = append(d.pairs, pair)
	}
	return d, nil
}

func (p *parser) pair() ([2]expr, error) {
	key, err := p.expression()
	if err != nil {
		return [2]expr{}, err
	}
	if err := p.expectOp(":"); err != nil {
		return [2]expr{}, err
	}
	value, err := p.expression()
	return [2]expr{key, value}, err
}
