package engine

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Submit.
var (
	// ErrDraining is returned once Drain was called.
	ErrDraining = errors.New("engine: draining, takes no new requests")
	// ErrBackend is the end of every sequence when the backend has failed; the step loop
	// has ended over it.
	ErrBackend = errors.New("engine: the backend failed")
	// ErrStopped is returned when the step loop does not run any more; sequences that
	// were open when it ended return it too, unless the backend's failure ended it.
	ErrStopped = errors.New("engine: stopped")
)

// InvalidError is a request's field out of bounds.
type InvalidError struct {
	Field string
	Value any
	Bound string
}

// Error names field, value and bound.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: %v, must be %s", e.Field, e.Value, e.Bound)
}

// ContextError is a request that does not fit the context, all in tokens.
type ContextError struct {
	Prompt, MaxTokens, Context int
}

// Error gives the counts.
func (e *ContextError) Error() string {
	if e.MaxTokens == 0 {
		return fmt.Sprintf("prompt: %d tokens, must be fewer than the context of %d", e.Prompt, e.Context)
	}
	return fmt.Sprintf("prompt of %d tokens and max_tokens of %d exceed the context of %d tokens", e.Prompt, e.MaxTokens, e.Context)
}

// BusyError is returned by Submit when the queue is full.
type BusyError struct{ RetryAfter time.Duration }

// Error says when to come back.
func (e *BusyError) Error() string {
	return fmt.Sprintf("engine: busy, try again in %s", e.RetryAfter)
}

// NumericError ends a sequence whose logits held a NaN.
type NumericError struct{ Position int }

// Error says where.
func (e *NumericError) Error() string {
	return fmt.Sprintf("engine: the model computed no number at position %d", e.Position)
}
