package sample

import (
	"fmt"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Error is a sampling parameter out of bounds, for the requester to read.
type Error struct {
	Field string // as the wire and the HTTP APIs spell it: "top_p"
	Value any
	Bound string // "above 0 and at most 1"
}

// Error names field, value and bound.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %v, must be %s", e.Field, e.Value, e.Bound)
}

// Defaults are the parameters of a request that names none: plain sampling from the
// whole distribution.
func Defaults() abi.Sampling {
	return abi.Sampling{Temperature: 1, TopP: 1, TypicalP: 1, Repetition: 1}
}

// Check returns the *Error of the first parameter out of bounds, or nil. NaN and the
// infinities are within no bound.
func Check(p abi.Sampling) error {
	for _, f := range []struct {
		name  string
		value float32
		ok    bool
		bound string
	}{
		{"temperature", p.Temperature, closed(p.Temperature, 0, 2), "0 to 2"},
		{"top_p", p.TopP, halfOpen(p.TopP, 1), "above 0 and at most 1"},
		{"min_p", p.MinP, closed(p.MinP, 0, 1), "0 to 1"},
		{"typical_p", p.TypicalP, halfOpen(p.TypicalP, 1), "above 0 and at most 1"},
		{"presence_penalty", p.Presence, closed(p.Presence, -2, 2), "-2 to 2"},
		{"frequency_penalty", p.Frequency, closed(p.Frequency, -2, 2), "-2 to 2"},
		{"repetition_penalty", p.Repetition, halfOpen(p.Repetition, 2), "above 0 and at most 2"},
	} {
		if !f.ok {
			return &Error{f.name, f.value, f.bound}
		}
	}
	if p.TopLogprobs > abi.MaxTop {
		return &Error{"top_logprobs", p.TopLogprobs, fmt.Sprintf("at most %d", abi.MaxTop)}
	}
	return nil
}

// closed tells whether low <= v <= high; no NaN is.
func closed(v, low, high float32) bool { return v >= low && v <= high }

// halfOpen tells whether 0 < v <= high; no NaN is.
func halfOpen(v, high float32) bool { return v > 0 && v <= high }
