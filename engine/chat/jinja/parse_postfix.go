package jinja

// postfix parses attributes, subscripts and calls behind a value.
func (p *parser) postfix(value expr) (expr, error) {
	for links := 0; ; links++ {
		if err := p.chain(links); err != nil {
			return nil, err
		}
		var err error
		switch {
		case p.acceptOp("."):
			value, err = p.dotted(value)
		case p.acceptOp("["):
			value, err = p.subscript(value)
		case p.isOp("("):
			value, err = p.call(value)
		default:
			return value, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// filtered parses filters, tests and calls behind a value.
func (p *parser) filtered(value expr) (expr, error) {
	for links := 0; ; links++ {
		if err := p.chain(links); err != nil {
			return nil, err
		}
		var err error
		switch {
		case p.acceptOp("|"):
			value, err = p.filter(value)
		case p.acceptName("is"):
			value, err = p.test(value)
		case p.isOp("("):
			value, err = p.call(value)
		default:
			return value, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// dotted parses what follows "value.": a name, or a number as in x.0.
func (p *parser) dotted(of expr) (expr, error) {
	t := p.take()
	switch t.kind {
	case tokenName:
		return &attributeExpr{of: of, name: t.text}, nil
	case tokenInt:
		key, err := p.integer(t.text)
		return &subscriptExpr{of: of, key: key}, err
	}
	return nil, &SyntaxError{Line: t.line, Message: "expected name or number"}
}

// subscript parses value[key], value[a:b:c] and value[a, b]; "[" is taken.
func (p *parser) subscript(of expr) (expr, error) {
	var keys []expr
	var cut *sliceExpr
	for !p.acceptOp("]") {
		if len(keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		key, slice, err := p.subscripted()
		if err != nil {
			return nil, err
		}
		keys, cut = append(keys, key), slice
	}
	switch {
	case len(keys) == 1 && cut != nil:
		cut.of = of
		return cut, nil
	case len(keys) == 1:
		return &subscriptExpr{of: of, key: keys[0]}, nil
	case cut != nil:
		return nil, p.fail("a slice cannot be part of a tuple of subscripts")
	}
	return &subscriptExpr{of: of, key: &tupleExpr{items: keys}}, nil
}

// subscripted parses a key or a slice.
func (p *parser) subscripted() (key expr, cut *sliceExpr, err error) {
	if !p.isOp(":") {
		if key, err = p.expression(); err != nil || !p.isOp(":") {
			return key, nil, err
		}
	}
	cut = &sliceExpr{start: key}
	for _, part := range []*expr{&cut.stop, &cut.stride} {
		if !p.acceptOp(":") {
			break
		}
		if p.isOp(":") || p.isOp("]") || p.isOp(",") {
			continue
		}
		if *part, err = p.expression(); err != nil {
			return nil, nil, err
		}
	}
	return key, cut, nil
}

func (p *parser) call(of expr) (expr, error) {
	line := p.peek().line
	args, err := p.arguments()
	return &callExpr{line: line, of: of, args: args}, err
}

// filter parses a filter's name and arguments; "|" is taken.
func (p *parser) filter(of expr) (expr, error) {
	name, args, err := p.filterName()
	return &filterExpr{of: of, name: name, filter: filters[name], args: args}, err
}

func (p *parser) filterName() (string, arguments, error) {
	name, err := p.dottedName()
	if err != nil || !p.isOp("(") {
		return name, arguments{}, err
	}
	args, err := p.arguments()
	return name, args, err
}

func (p *parser) dottedName() (string, error) {
	t, err := p.expectName()
	name := t.text
	for err == nil && p.acceptOp(".") {
		t, err = p.expectName()
		name += "." + t.text
	}
	return name, err
}

// test parses a test's name and arguments; "is" is taken.
func (p *parser) test(of expr) (expr, error) {
	negated := p.acceptName("not")
	name, err := p.dottedName()
	if err != nil {
		return nil, err
	}
	node := &testExpr{of: of, name: name, test: tests[name]}
	switch {
	case p.isOp("("):
		node.args, err = p.arguments()
	case p.startsOperand():
		node.args, err = p.testOperand()
	}
	if negated {
		return &notExpr{of: node}, err
	}
	return node, err
}

// startsOperand says whether a test's bare argument follows.
func (p *parser) startsOperand() bool {
	switch t := p.peek(); t.kind {
	case tokenText, tokenInt, tokenFloat:
		return true
	case tokenName:
		return t.text != "else" && t.text != "or" && t.text != "and"
	case tokenOp:
		return t.text == "[" || t.text == "{"
	}
	return false
}

func (p *parser) testOperand() (arguments, error) {
	if p.isName("is") {
		return arguments{}, p.fail("You cannot chain multiple tests with is")
	}
	value, err := p.primary()
	if err == nil {
		value, err = p.postfix(value)
	}
	return arguments{positional: []expr{value}}, err
}

// arguments parses (a, b, name=c, *d, **e).
func (p *parser) arguments() (arguments, error) {
	var args arguments
	if err := p.expectOp("("); err != nil {
		return args, err
	}
	for first := true; !p.acceptOp(")"); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return args, err
			}
			if p.acceptOp(")") {
				break
			}
		}
		if err := p.argument(&args); err != nil {
			return args, err
		}
	}
	return args, nil
}

func (p *parser) argument(args *arguments) error {
	if args.starstar != nil {
		return p.fail("invalid syntax for function call expression")
	}
	var err error
	switch t := p.peek(); {
	case p.acceptOp("**"):
		args.starstar, err = p.expression()
		return err
	case t.kind == tokenName && p.peekNext().is(tokenOp, "="):
		p.at += 2
		value, err := p.expression()
		args.named = append(args.named, namedExpr{name: t.text, value: value})
		return err
	case args.star != nil:
		return p.fail("invalid syntax for function call expression")
	case p.acceptOp("*"):
		args.star, err = p.expression()
		return err
	case len(args.named) > 0:
		return p.fail("invalid syntax for function call expression")
	}
	value, err := p.expression()
	args.positional = append(args.positional, value)
	return err
}
