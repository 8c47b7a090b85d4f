package jinja

import "slices"

// statement parses a tag behind {%, all of its body included, up to but
// without its last %}.
func (p *parser) statement() (stmt, error) {
	t, err := p.expect(tokenName, "tag name")
	if err != nil {
		return nil, err
	}
	switch t.text {
	case "if":
		return p.ifTag(t.line)
	case "for":
		return p.forTag(t.line)
	case "set":
		return p.setTag(t.line)
	case "macro":
		return p.macroTag()
	case "call":
		return p.callTag(t.line)
	case "filter":
		return p.filterTag(t.line)
	case "with":
		return p.withTag(t.line)
	case "generation":
		body, err := p.block("endgeneration")
		return &scopeStmt{body: body}, err
	case "break", "continue":
		return p.jumpTag(t)
	case "print":
		return p.printTag(t.line)
	}
	return nil, &SyntaxError{Line: t.line, Message: unknownTag(t.text)}
}

// unknownTag explains a tag that this dialect does not have.
func unknownTag(name string) string {
	if slices.Contains([]string{"include", "import", "from", "extends", "block", "autoescape"}, name) {
		return "the tag '" + name + "' is not available in chat templates"
	}
	return "Encountered unknown tag '" + name + "'."
}

// block parses a body up to its end tag.
func (p *parser) block(end string) ([]stmt, error) {
	body, _, err := p.blockUntil(end)
	return body, err
}

func (p *parser) blockUntil(ends ...string) ([]stmt, string, error) {
	p.acceptOp(":")
	if _, err := p.expect(tokenTagEnd, "end of statement block"); err != nil {
		return nil, "", err
	}
	return p.body(ends...)
}

func (p *parser) ifTag(line int) (stmt, error) {
	node := &ifStmt{}
	for {
		test, err := p.tuple(p.or)
		if err != nil {
			return nil, err
		}
		body, end, err := p.blockUntil("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		node.branches = append(node.branches, branch{line: line, test: test, body: body})
		switch end {
		case "endif":
			return node, nil
		case "else":
			node.other, err = p.block("endif")
			return node, err
		}
		line = p.peek().line
	}
}

func (p *parser) forTag(line int) (stmt, error) {
	node := &forStmt{line: line, loop: p.symbol("loop")}
	var err error
	if node.target, err = p.target(); err != nil {
		return nil, err
	}
	if !p.acceptName("in") {
		return nil, p.fail("expected token 'in', got '%s'", p.peek().describe())
	}
	if node.over, err = p.tuple(p.or); err != nil {
		return nil, err
	}
	if p.acceptName("if") {
		if node.test, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.isName("recursive") {
		return nil, p.fail("recursive loops are not available in chat templates")
	}
	return node, p.forBody(node)
}

func (p *parser) forBody(node *forStmt) (err error) {
	var end string
	p.loops++
	node.body, end, err = p.blockUntil("endfor", "else")
	p.loops--
	if err == nil && end == "else" {
		node.other, err = p.block("endfor")
	}
	return err
}

func (p *parser) jumpTag(t token) (stmt, error) {
	if p.loops == 0 {
		return nil, &SyntaxError{Line: t.line, Message: "'" + t.text + "' outside loop"}
	}
	if t.text == "break" {
		return jumpStmt(jumpBreak), nil
	}
	return jumpStmt(jumpContinue), nil
}

func (p *parser) setTag(line int) (stmt, error) {
	to, err := p.target()
	if err != nil {
		return nil, err
	}
	if p.acceptOp("=") {
		value, err := p.tuple(p.expression)
		return &setStmt{line: line, to: to, value: value}, err
	}
	value, err := p.filterChain(&capturedExpr{})
	if err != nil {
		return nil, err
	}
	body, err := p.captured("endset")
	return &captureStmt{line: line, to: to, value: value, body: body}, err
}

// filterChain parses | filter | filter ... behind a tag's name.
func (p *parser) filterChain(value expr) (expr, error) {
	for links := 0; p.acceptOp("|"); links++ {
		if err := p.chain(links); err != nil {
			return nil, err
		}
		var err error
		if value, err = p.filter(value); err != nil {
			return nil, err
		}
	}
	return value, nil
}

func (p *parser) filterTag(line int) (stmt, error) {
	value, err := p.filter(&capturedExpr{})
	if err == nil {
		value, err = p.filterChain(value)
	}
	if err != nil {
		return nil, err
	}
	body, err := p.captured("endfilter")
	return &captureStmt{line: line, value: value, body: body}, err
}

func (p *parser) withTag(line int) (stmt, error) {
	node := &withStmt{line: line}
	for p.peek().kind != tokenTagEnd {
		if len(node.sets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		to, err := p.targetItem()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		node.sets = append(node.sets, setStmt{line: line, to: to, value: value})
	}
	var err error
	node.body, err = p.block("endwith")
	return node, err
}

func (p *parser) printTag(line int) (stmt, error) {
	e, err := p.tuple(p.expression)
	return &printStmt{line: line, value: e}, err
}

func (p *parser) macroTag() (stmt, error) {
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	decl := &macroDecl{name: name.text}
	if err := p.signature(decl); err != nil {
		return nil, err
	}
	return &macroStmt{id: p.symbol(name.text), decl: decl}, p.macroBody(decl, "endmacro")
}

// macroBody parses a macro's body, noting which special names it mentions.
func (p *parser) macroBody(decl *macroDecl, end string) (err error) {
	outer := p.specials
	p.specials = &decl.special
	decl.body, err = p.captured(end)
	p.specials = outer
	return err
}

// captured parses a body whose text is kept, which no break may leave.
func (p *parser) captured(end string) ([]stmt, error) {
	outer := p.loops
	p.loops = 0
	body, err := p.block(end)
	p.loops = outer
	return body, err
}

func (p *parser) callTag(line int) (stmt, error) {
	decl := &macroDecl{name: "caller"}
	if p.isOp("(") {
		if err := p.signature(decl); err != nil {
			return nil, err
		}
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	called, ok := e.(*callExpr)
	if !ok {
		return nil, p.fail("expected call")
	}
	return &callStmt{line: line, call: called, decl: decl}, p.macroBody(decl, "endcall")
}

// signature parses a macro's (a, b=default).
func (p *parser) signature(decl *macroDecl) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.acceptOp(")") {
		if len(decl.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		if err := p.parameter(decl); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) parameter(decl *macroDecl) error {
	t, err := p.expectName()
	if err != nil {
		return err
	}
	param := macroParam{id: p.symbol(t.text), name: t.text}
	if p.acceptOp("=") {
		if param.value, err = p.expression(); err != nil {
			return err
		}
	} else if n := len(decl.params); n > 0 && decl.params[n-1].value != nil {
		return p.fail("non-default argument follows default argument")
	}
	decl.params = append(decl.params, param)
	return nil
}

// target parses what set and for assign to: a name, ns.name, or several.
func (p *parser) target() (target, error) {
	first, err := p.targetItem()
	if err != nil || !p.isOp(",") {
		return first, err
	}
	items := tupleTarget{first}
	for p.acceptOp(",") && !p.tupleEnds() && !p.isOp("=") {
		item, err := p.targetItem()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (p *parser) targetItem() (target, error) {
	if p.acceptOp("(") {
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		t, err := p.target()
		if err != nil {
			return nil, err
		}
		return t, p.expectOp(")")
	}
	t, err := p.expectName()
	if err != nil {
		return nil, err
	}
	if _, reserved := p.named(t.text).(*constant); reserved {
		return nil, p.fail("can't assign to 'const'")
	}
	if !p.acceptOp(".") {
		return nameTarget(p.symbol(t.text)), nil
	}
	attr, err := p.expectName()
	return attributeTarget{id: p.symbol(t.text), name: t.text, attr: attr.text}, err
}
