package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/wire"
)

func invalid(param, message string) *wire.Error {
	return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_INVALID, Param: param, Message: message}
}

func unavailable(message string) *wire.Error {
	return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_UNAVAILABLE, Message: message}
}

// wireError is what a requester may know of a failure.
func wireError(err error) *wire.Error {
	var (
		bad     *engine.InvalidError
		long    *engine.ContextError
		busy    *engine.BusyError
		numeric *engine.NumericError
	)
	switch {
	case errors.As(err, &bad):
		return invalid(bad.Field, bad.Error())
	case errors.As(err, &long):
		return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH, Param: "prompt", Message: contextMessage(long)}
	case errors.As(err, &busy):
		return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_BUSY, Message: "the instance's queue is full",
			RetryAfterMs: max(1, busy.RetryAfter.Milliseconds())}
	case errors.As(err, &numeric):
		return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_NUMERIC, Message: "the model gave no number for this request"}
	case errors.Is(err, engine.ErrDraining):
		return unavailable("the instance is draining")
	case errors.Is(err, engine.ErrStopped):
		return unavailable("the instance has stopped")
	case errors.Is(err, engine.ErrBackend):
		return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_UNAVAILABLE, EngineEnded: true, Message: "the engine has lost its backend"}
	case errors.Is(err, context.DeadlineExceeded):
		return deadlinePassed()
	}
	return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_INTERNAL, Message: "internal error"}
}

func deadlinePassed() *wire.Error {
	return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_DEADLINE, Message: "the request's deadline has passed"}
}

// contextMessage says both counts.
func contextMessage(e *engine.ContextError) string {
	return fmt.Sprintf("this model's context is %d tokens, but the prompt has %d and asks for %d more", e.Context, e.Prompt, e.MaxTokens)
}
