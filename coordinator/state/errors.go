package state

import (
	"errors"
	"fmt"
)

// Why a command was refused. Every refusal is an *Error that wraps one of these, and
// a refused command has changed nothing.
var (
	// ErrNotFound: what the command is about does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: what it would create exists.
	ErrExists = errors.New("exists already")
	// ErrConflict: the command does not fit what is there now.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: a field is out of its bounds, whatever is there.
	ErrInvalid = errors.New("invalid")
	// ErrDenied: a join token that is wrong, used or expired.
	ErrDenied = errors.New("denied")
)

// Error says what a command was about and why it was refused, in words for people.
type Error struct {
	Reason error  // one of the five above
	Kind   string // of resource, as an operator would say: "model", "deployment"
	Name   string // or id
	Field  string // at fault, with ErrInvalid
	Detail string // may be empty
}

// Error is one sentence: kind, name, field, reason, detail.
func (e *Error) Error() string {
	s := e.Kind
	if e.Name != "" {
		s += fmt.Sprintf(" %q", e.Name)
	}
	if e.Field != "" {
		s += ": " + e.Field
	}
	s += ": " + e.Reason.Error()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Reason }

func notFound(kind, name string) error { return &Error{Reason: ErrNotFound, Kind: kind, Name: name} }
func exists(kind, name string) error   { return &Error{Reason: ErrExists, Kind: kind, Name: name} }

func conflict(kind, name, format string, args ...any) error {
	return &Error{Reason: ErrConflict, Kind: kind, Name: name, Detail: fmt.Sprintf(format, args...)}
}

func invalid(kind, name, field, format string, args ...any) error {
	return &Error{Reason: ErrInvalid, Kind: kind, Name: name, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func denied(name, format string, args ...any) error {
	return &Error{Reason: ErrDenied, Kind: "join token", Name: name, Detail: fmt.Sprintf(format, args...)}
}
