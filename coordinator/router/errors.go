package router

import (
	"errors"
	"fmt"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// Errors of Generate and of its streams.
var (
	// ErrUnknownModel says that the project has no such model name.
	ErrUnknownModel = errors.New("router: no such model")
	// ErrDeadline says that the request's own deadline passed.
	ErrDeadline = errors.New("router: the request's deadline has passed")
	// ErrBroken says that instances broke under the request too often.
	ErrBroken = errors.New("router: every instance that ran the request broke")
)

// BusyError says that every instance is busy: the line is full, or none had room in time.
type BusyError struct {
	Model      string
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("all instances of model %q are busy", e.Model)
}

// NotReadyError says that no instance was ready in time.
type NotReadyError struct {
	Model      string
	RetryAfter time.Duration
}

func (e *NotReadyError) Error() string {
	return fmt.Sprintf("no instance of model %q is ready", e.Model)
}

// PoisonError says that the request ended engines, and until when the same request is
// refused.
type PoisonError struct {
	Until time.Time
	Again bool // it was sent once more
}

func (e *PoisonError) Error() string {
	if e.Again {
		return "router: the same request ended its engines before"
	}
	return "router: the request ended every engine that ran it"
}

// EngineError is an engine's own refusal, which another instance would repeat.
type EngineError struct{ Wire *wire.Error }

func (e *EngineError) Error() string { return "engine: " + e.Wire.GetMessage() }

// passing tells whether an error may be gone elsewhere or later.
func passing(e *wire.Error) bool {
	return e.GetCode() == wire.ErrorCode_ERROR_CODE_BUSY || e.GetCode() == wire.ErrorCode_ERROR_CODE_UNAVAILABLE
}
