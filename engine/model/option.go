package model

import "fmt"

// OptionError is an option that a model or a backend cannot meet.
type OptionError struct {
	Field  string // as deployments call it
	Value  any
	Reason string
}

// Error names the field, its value and what bounds it.
func (e *OptionError) Error() string { return e.Field + ": " + e.Text() }

// Text is the sentence without the field.
func (e *OptionError) Text() string {
	if s, ok := e.Value.(string); ok {
		return fmt.Sprintf("%q, %s", s, e.Reason)
	}
	return fmt.Sprintf("%v, %s", e.Value, e.Reason)
}

func badOption(field string, value any, reason string, args ...any) error {
	return &OptionError{field, value, fmt.Sprintf(reason, args...)}
}
