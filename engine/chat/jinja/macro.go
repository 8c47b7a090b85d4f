package jinja

type (
	// macroDecl is a macro as written, or the body of a call block.
	macroDecl struct {
		name    string
		params  []macroParam
		body    []stmt
		special [len(specialNames)]special
	}

	// special is a name that every macro may use without declaring it.
	special struct {
		id   int
		used bool // the body mentions it
	}

	macroParam struct {
		id    int
		name  string
		value expr // default; nil if there is none
	}

	macroStmt struct {
		id   int
		decl *macroDecl
	}

	callStmt struct {
		line int
		call *callExpr
		decl *macroDecl
	}

	// macro is a declaration with the scope it was met in.
	macro struct {
		*macroDecl
		scope *scope
	}
)

// specialNames are the undeclared names of a macro's body, in the order of
// macroDecl.special.
var specialNames = [...]string{"caller", "varargs", "kwargs"}

const (
	specialCaller = iota
	specialVarargs
	specialKwargs
)

func (*macro) typeName() string { return "Macro" }

func (st *macroStmt) exec(_ *render, s *scope) (jump, error) {
	s.put(st.id, &macro{macroDecl: st.decl, scope: s})
	return jumpNone, nil
}

func (st *callStmt) exec(r *render, s *scope) (jump, error) {
	r.line = st.line
	v, err := st.call.apply(r, s, &macro{macroDecl: st.decl, scope: s})
	if err != nil {
		return jumpNone, err
	}
	text, err := r.str(v)
	if err != nil {
		return jumpNone, err
	}
	return jumpNone, r.write(text)
}

// call renders the macro's body to a string.
func (m *macro) call(r *render, args []Value, kwargs []named) (Value, error) {
	if r.calls++; r.calls > maxCalls {
		return nil, &LimitError{What: "nested calls", Limit: maxCalls}
	}
	defer func() { r.calls-- }()
	s := m.scope.child()
	if err := m.bind(r, s, args, kwargs); err != nil {
		return nil, err
	}
	text, err := r.capture(s, m.body)
	if err != nil {
		return nil, err
	}
	return text, nil
}

// bind sets the parameters, and caller, varargs and kwargs where the body uses
// them.
func (m *macro) bind(r *render, s *scope, args []Value, kwargs []named) error {
	given := make([]Value, len(m.params))
	n := copy(given, args)
	var caller Value
	var extra []named
	for _, arg := range kwargs {
		switch i := m.param(arg.name); {
		case i >= 0 && given[i] != nil:
			return typeError("macro %s got multiple values for argument %s", quote(m.name), quote(arg.name))
		case i >= 0:
			given[i] = arg.value
		case arg.name == "caller" && m.special[specialCaller].used:
			caller = arg.value
		case !m.special[specialKwargs].used:
			return typeError("macro %s takes no keyword argument %s", quote(m.name), quote(arg.name))
		default:
			extra = append(extra, arg)
		}
	}
	if n < len(args) && !m.special[specialVarargs].used {
		return typeError("macro %s takes not more than %d argument(s)", quote(m.name), len(m.params))
	}
	m.bindSpecial(s, caller, args[n:], extra)
	return m.defaults(r, s, given)
}

// bindSpecial sets the undeclared names that the body uses.
func (m *macro) bindSpecial(s *scope, caller Value, varargs []Value, kwargs []named) {
	if sp := m.special[specialCaller]; sp.used {
		if caller == nil {
			caller = &Undefined{message: "No caller defined"}
		}
		s.put(sp.id, caller)
	}
	if sp := m.special[specialVarargs]; sp.used {
		s.put(sp.id, &Tuple{items: varargs})
	}
	if sp := m.special[specialKwargs]; sp.used {
		s.put(sp.id, dictOfNamed(kwargs))
	}
}

func dictOfNamed(kwargs []named) *Dict {
	d := NewDict()
	for _, arg := range kwargs {
		d.put(dictKey{kind: 's', text: arg.name}, Text(arg.name), arg.value)
	}
	return d
}

func (m *macro) param(name string) int {
	for i, p := range m.params {
		if p.name == name {
			return i
		}
	}
	return -1
}

// defaults sets the parameters in order, so that a default sees those before.
func (m *macro) defaults(r *render, s *scope, given []Value) error {
	for i, p := range m.params {
		v := given[i]
		if v == nil && p.value != nil {
			var err error
			if v, err = p.value.eval(r, s); err != nil {
				return err
			}
		}
		if v == nil {
			v = undefinedf("parameter %s was not provided", quote(p.name))
		}
		s.put(p.id, v)
	}
	return nil
}
