package jinja

import "fmt"

// SyntaxError says why a template does not parse.
type SyntaxError struct {
	Line    int // 1-based line of the template source
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("template line %d: %s", e.Line, e.Message)
}

// TemplateError is what a template's own raise_exception(message) returns: the
// template refuses this conversation, and Message is its author's sentence.
type TemplateError struct {
	Message string
}

func (e *TemplateError) Error() string { return e.Message }

// RuntimeError is a fault of the template on this input: an undefined value
// used, an operator on the wrong types, a forbidden attribute.
type RuntimeError struct {
	Class   string // Python's name of the exception: UndefinedError, TypeError, ...
	Message string
	Line    int // 1-based line of the statement that failed
}

func (e *RuntimeError) Error() string {
	return fmt.Sprintf("template line %d: %s: %s", e.Line, e.Class, e.Message)
}

// LimitError says which bound of [Limits] a rendering ran into.
type LimitError struct {
	What  string // "steps", "output bytes", "nested calls", ...
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("template exceeds its limit of %d %s", e.Limit, e.What)
}

func typeError(format string, args ...any) error {
	return &RuntimeError{Class: "TypeError", Message: fmt.Sprintf(format, args...)}
}

func valueError(format string, args ...any) error {
	return &RuntimeError{Class: "ValueError", Message: fmt.Sprintf(format, args...)}
}

func securityError(format string, args ...any) error {
	return &RuntimeError{Class: "SecurityError", Message: fmt.Sprintf(format, args...)}
}

func overflowError(format string, args ...any) error {
	return &RuntimeError{Class: "OverflowError", Message: fmt.Sprintf(format, args...)}
}
