package jinja

import "fmt"

// Undefined is the value of a name or attribute that does not exist. It prints
// as nothing, is false and empty, and fails when more is asked of it.
type Undefined struct {
	class   string // exception that using it raises; UndefinedError if empty
	message string // if empty, owner and key tell what is missing
	owner   Value  // what lacks the key; nil for a variable
	key     Value
}

func (*Undefined) typeName() string { return "Undefined" }

// fail is the error of using u.
func (u *Undefined) fail() error {
	e := &RuntimeError{Class: u.class, Message: u.message}
	if e.Class == "" {
		e.Class = "UndefinedError"
	}
	if e.Message == "" {
		e.Message = u.missing()
	}
	return e
}

// missing says what there is none of.
func (u *Undefined) missing() string {
	key, err := repr(u.key, 1<<10)
	if err != nil {
		key = Text("...")
	}
	if u.owner == nil {
		return key.text + " is undefined"
	}
	if _, name := u.key.(String); name {
		return "'" + describe(u.owner) + "' has no attribute " + key.text
	}
	return describe(u.owner) + " has no element " + key.text
}

func undefinedf(format string, args ...any) *Undefined {
	return &Undefined{message: fmt.Sprintf(format, args...)}
}

// undefinedKey is what owner.key or owner[key] gives when there is none.
func undefinedKey(owner, key Value) *Undefined { return &Undefined{owner: owner, key: key} }

// unsafe is an attribute that would change a value the template does not own.
func unsafe(owner Value, name string) *Undefined {
	return &Undefined{
		class:   "SecurityError",
		message: fmt.Sprintf("access to attribute %s of %s object is unsafe.", quote(name), quote(owner.typeName())),
	}
}

// describe names a value's type in messages about undefined attributes.
func describe(v Value) string {
	if _, none := v.(None); none {
		return "None"
	}
	return v.typeName() + " object"
}
