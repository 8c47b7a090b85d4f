package abi

import "fmt"

// Code is the outcome class of a backend call.
type Code int32

// Codes, as the header numbers them.
const (
	OK          Code = 0
	Invalid     Code = 1
	Unsupported Code = 2
	NoMem       Code = 3
	Timeout     Code = 4
	DeviceLost  Code = 5
)

// String names the code as operators say it.
func (c Code) String() string {
	switch c {
	case OK:
		return "ok"
	case Invalid:
		return "invalid"
	case Unsupported:
		return "unsupported"
	case NoMem:
		return "out of memory"
	case Timeout:
		return "timeout"
	case DeviceLost:
		return "device lost"
	}
	return fmt.Sprintf("code %d", int32(c))
}

// Error is a failed backend call. Detail names the field, its value and its bound.
// Two Errors match under errors.Is when their codes are equal, so that
// errors.Is(err, abi.ErrDeviceLost) works whatever the detail.
type Error struct {
	Code   Code
	Call   string // "tensor_put", "submit", ...
	Detail string
}

// Sentinels for errors.Is.
var (
	ErrInvalid     = &Error{Code: Invalid}
	ErrUnsupported = &Error{Code: Unsupported}
	ErrNoMem       = &Error{Code: NoMem}
	ErrTimeout     = &Error{Code: Timeout}
	ErrDeviceLost  = &Error{Code: DeviceLost}
)

// Error says call, code and detail.
func (e *Error) Error() string {
	s := e.Code.String()
	if e.Call != "" {
		s = e.Call + ": " + s
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is matches by code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errorf makes an Error of a call.
func Errorf(code Code, call, format string, args ...any) *Error {
	return &Error{Code: code, Call: call, Detail: fmt.Sprintf(format, args...)}
}
