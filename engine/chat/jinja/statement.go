package jinja

// stmt is a parsed statement or piece of text.
type stmt interface {
	exec(r *render, s *scope) (jump, error)
}

// jump is how a statement ends: by going on, or by leaving the loop's round.
type jump uint8

const (
	jumpNone jump = iota
	jumpBreak
	jumpContinue
)

type (
	textStmt struct{ text String }

	printStmt struct {
		line  int
		value expr
	}

	ifStmt struct {
		branches []branch
		other    []stmt
	}

	branch struct {
		line int
		test expr
		body []stmt
	}

	setStmt struct {
		line  int
		to    target
		value expr
	}

	// captureStmt runs a body and assigns or, without a target, prints what
	// value makes of its text.
	captureStmt struct {
		line  int
		to    target
		value expr
		body  []stmt
	}

	withStmt struct {
		line int
		sets []setStmt
		body []stmt
	}

	// scopeStmt runs a body in a scope of its own.
	scopeStmt struct{ body []stmt }

	jumpStmt jump
)

// run executes statements until one jumps.
func run(r *render, s *scope, body []stmt) (jump, error) {
	for _, st := range body {
		if j, err := st.exec(r, s); j != jumpNone || err != nil {
			return j, err
		}
	}
	return jumpNone, r.step(1)
}

func (st *textStmt) exec(r *render, _ *scope) (jump, error) {
	return jumpNone, r.write(st.text)
}

func (st *printStmt) exec(r *render, s *scope) (jump, error) {
	r.line = st.line
	v, err := st.value.eval(r, s)
	if err != nil {
		return jumpNone, err
	}
	text, err := r.str(v)
	if err != nil {
		return jumpNone, err
	}
	return jumpNone, r.write(text)
}

// write adds to the output, charged and bounded.
func (r *render) write(s String) error {
	r.out.add(s)
	if r.out.over {
		return &LimitError{What: "output bytes", Limit: r.limits.OutputBytes}
	}
	return r.step(1 + len(s.text)/costBytes)
}

func (st *ifStmt) exec(r *render, s *scope) (jump, error) {
	for _, b := range st.branches {
		r.line = b.line
		v, err := b.test.eval(r, s)
		if err != nil {
			return jumpNone, err
		}
		if truth(v) {
			return run(r, s, b.body)
		}
	}
	return run(r, s, st.other)
}

func (st *setStmt) exec(r *render, s *scope) (jump, error) {
	r.line = st.line
	v, err := st.value.eval(r, s)
	if err != nil {
		return jumpNone, err
	}
	return jumpNone, st.to.assign(r, s, v)
}

func (st *captureStmt) exec(r *render, s *scope) (jump, error) {
	text, err := r.capture(s.child(), st.body)
	if err != nil {
		return jumpNone, err
	}
	r.line = st.line
	r.captured = text
	v, err := st.value.eval(r, s)
	if err != nil {
		return jumpNone, err
	}
	if st.to != nil {
		return jumpNone, st.to.assign(r, s, v)
	}
	text, err = r.str(v)
	if err != nil {
		return jumpNone, err
	}
	return jumpNone, r.write(text)
}

// capture runs a body and returns its text instead of writing it out.
func (r *render) capture(s *scope, body []stmt) (String, error) {
	outer := r.out
	r.out = r.builder()
	_, err := run(r, s, body)
	text, over := r.out.string()
	r.out = outer
	if err != nil {
		return String{}, err
	}
	return text, over
}

func (st *withStmt) exec(r *render, s *scope) (jump, error) {
	r.line = st.line
	inner := s.child()
	for _, set := range st.sets {
		v, err := set.value.eval(r, s)
		if err != nil {
			return jumpNone, err
		}
		if err := set.to.assign(r, inner, v); err != nil {
			return jumpNone, err
		}
	}
	return run(r, inner, st.body)
}

func (st *scopeStmt) exec(r *render, s *scope) (jump, error) {
	return run(r, s.child(), st.body)
}

func (st jumpStmt) exec(*render, *scope) (jump, error) { return jump(st), nil }
