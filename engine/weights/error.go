package weights

import (
	"errors"
	"fmt"
)

// What can be wrong with a file; a [FormatError] wraps exactly one of these.
var (
	ErrMagic      = errors.New("not a file of this format")
	ErrVersion    = errors.New("unsupported version")
	ErrTruncated  = errors.New("data runs past its bound")
	ErrCount      = errors.New("count exceeds what the file can hold")
	ErrDuplicate  = errors.New("name occurs twice")
	ErrOverlap    = errors.New("data overlaps another tensor's")
	ErrGap        = errors.New("bytes belong to no tensor")
	ErrMisaligned = errors.New("offset is not a multiple of its alignment")
	ErrShape      = errors.New("shape and size do not agree")
	ErrValue      = errors.New("value is out of bounds")
	ErrSyntax     = errors.New("malformed")
)

var (
	// ErrType is returned for an element type that is not decoded here.
	ErrType = errors.New("unsupported element type")
	// ErrNoTensor is returned by File.Tensor for a name that the file lacks.
	ErrNoTensor = errors.New("no such tensor")
	// ErrClosed is returned by File.Tensor after Close.
	ErrClosed = errors.New("file is closed")
)

// FormatError says where a file breaks its format: the field, its value, the
// bound it breaks, and the place.
type FormatError struct {
	Kind   error  // one of the Err values above
	Path   string // file
	Name   string // tensor or metadata key; "" for the header itself
	Field  string // what holds the value: "offset", "dims[1]", "string length"
	Offset uint64 // byte in the file where the field or the data starts
	Value  uint64 // of the field
	Bound  uint64 // limit, or the value that was due
	Detail string // what no number says; may be empty
}

// Error names file, tensor, field, value, bound and offset in one sentence.
func (e *FormatError) Error() string {
	s := e.Path + ": "
	if e.Name != "" {
		s += fmt.Sprintf("%q: ", e.Name)
	}
	s += fmt.Sprintf("%s %d (bound %d) at byte %d: %v", e.Field, e.Value, e.Bound, e.Offset, e.Kind)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap gives Kind to errors.Is.
func (e *FormatError) Unwrap() error { return e.Kind }
