package tokenizer

import (
	"errors"
	"fmt"
)

// Errors of FromJSON and FromGGUF; both come wrapped, with the field, its value and
// the bound.
var (
	// ErrFormat is returned for a definition that contradicts itself.
	ErrFormat = errors.New("malformed tokenizer")
	// ErrUnsupported is returned for a feature this package does not compute.
	ErrUnsupported = errors.New("unsupported tokenizer")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}
