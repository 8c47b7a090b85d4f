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
	ErrParts      = errors.New("parts do not make one model")
)

var (
	// ErrType is returned for an element type that is not decoded here.
	ErrType = errors.New("unsupported element type")
	// ErrNoTensor is returned by File.Tensor for a name that the file lacks.
	ErrNoTensor = errors.New("no such tensor")
	// ErrNotRegular is returned for a pipe, a device or a directory in place of a file.
	ErrNotRegular = errors.New("not a regular file")
	// ErrPickle is returned for weights in a format that can run code as it is read.
	ErrPickle = errors.New("pickled weights are never read; convert them to safetensors and add those")
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
		s += fmt.Sprintf("%q: ", clip(e.Name))
	}
	s += fmt.Sprintf("%s %d (bound %d) at byte %d: %v", e.Field, e.Value, e.Bound, e.Offset, e.Kind)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap gives Kind to errors.Is.
func (e *FormatError) Unwrap() error { return e.Kind }

// clip shortens what a file says to what a sentence can hold.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
