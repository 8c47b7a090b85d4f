package jinja

import "fmt"

// parser turns tokens into nodes, numbering the names it meets.
type parser struct {
	tokens  []token
	at      int
	depth   int
	symbols map[string]int
	names   []string
	loops   int // for loops around the statement, for break and continue

	specials *[len(specialNames)]special // of the innermost macro; nil outside
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) peekNext() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != tokenEOF {
		p.at++
	}
	return t
}

func (p *parser) isOp(op string) bool { return p.peek().is(tokenOp, op) }

func (p *parser) isName(name string) bool { return p.peek().is(tokenName, name) }

// acceptOp takes the operator if it comes next.
func (p *parser) acceptOp(op string) bool {
	if !p.isOp(op) {
		return false
	}
	p.at++
	return true
}

// acceptName takes the keyword if it comes next.
func (p *parser) acceptName(name string) bool {
	if !p.isName(name) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expectOp(op string) error {
	if !p.acceptOp(op) {
		return p.fail("expected token '%s', got '%s'", op, p.peek().describe())
	}
	return nil
}

func (p *parser) expect(kind tokenKind, what string) (token, error) {
	if t := p.peek(); t.kind != kind {
		return t, p.fail("expected token '%s', got '%s'", what, t.describe())
	}
	return p.take(), nil
}

func (p *parser) expectName() (token, error) { return p.expect(tokenName, "name") }

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Line: p.peek().line, Message: fmt.Sprintf(format, args...)}
}

// symbol is the number of a variable's name.
func (p *parser) symbol(name string) int {
	if id, ok := p.symbols[name]; ok {
		return id
	}
	id := len(p.names)
	p.symbols[name] = id
	p.names = append(p.names, name)
	return id
}

// mention notes the use of a macro's special name.
func (p *parser) mention(name string) {
	if p.specials == nil {
		return
	}
	for i, special := range specialNames {
		if name == special {
			p.specials[i].id, p.specials[i].used = p.symbol(name), true
		}
	}
}

// enter bounds the nesting of what is parsed; leave undoes it.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxParseDepth {
		return &LimitError{What: "levels of nested template syntax", Limit: maxParseDepth}
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// chain bounds the links of one chain of operators or postfixes.
func (p *parser) chain(links int) error {
	if links > maxChain {
		return &LimitError{What: "operators in a row", Limit: maxChain}
	}
	return nil
}

// body parses statements and text until one of the end tags, which it takes as
// far as its name and returns; "" at the end of the template.
func (p *parser) body(ends ...string) ([]stmt, string, error) {
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	var body []stmt
	for {
		node, end, err := p.element(ends)
		if err != nil || end != "" || node == nil {
			return body, end, err
		}
		body = append(body, node)
	}
}

// element parses one piece of a body; a nil node without end is the end of the
// template.
func (p *parser) element(ends []string) (node stmt, end string, err error) {
	switch t := p.take(); t.kind {
	case tokenData:
		return &textStmt{text: Text(t.text)}, "", nil
	case tokenVarBegin:
		node, err = p.print(t.line)
		return node, "", err
	case tokenTagBegin:
		if end, ok := p.endTag(ends); ok {
			return nil, end, nil
		}
		if node, err = p.statement(); err != nil {
			return nil, "", err
		}
		_, err = p.expect(tokenTagEnd, "end of statement block")
		return node, "", err
	}
	if len(ends) > 0 {
		return nil, "", p.fail("Unexpected end of template. Jinja was looking for the following tags: '%s'.", ends[0])
	}
	return nil, "", nil
}

func (p *parser) endTag(ends []string) (string, bool) {
	for _, end := range ends {
		if p.acceptName(end) {
			return end, true
		}
	}
	return "", false
}

func (p *parser) print(line int) (stmt, error) {
	e, err := p.tuple(p.expression)
	if err != nil {
		return nil, err
	}
	_, err = p.expect(tokenVarEnd, "end of print statement")
	return &printStmt{line: line, value: e}, err
}
