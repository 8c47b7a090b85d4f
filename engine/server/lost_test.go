package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// losable is a backend whose device can be lost.
type losable struct {
	engine.Backend
	lost *atomic.Bool
}

func (l losable) Submit(s *abi.Step) error {
	if l.lost.Load() {
		return abi.Errorf(abi.DeviceLost, "submit", "pulled out")
	}
	return l.Backend.Submit(s)
}

func TestLostBackendEndsTheProcess(t *testing.T) {
	var lost atomic.Bool
	p := startWith(t, 0, func(l abi.Limits) (engine.Backend, error) {
		b, err := ref.New(l)
		return losable{b, &lost}, err
	})
	agent := p.agent(loadOf(tiny.GGUF(), nil))
	p.until(agent, isReady)
	lost.Store(true)
	// Its connection may end before the word of it is out: to an agent both are an end
	// of the engine, and no other error is.
	if e := p.ask(greedy([]int32{1}, 5)).err; e != nil && !e.GetEngineEnded() {
		t.Errorf("the request ended with %v, want engine_ended", e)
	}
	events := p.until(agent, isFailed)
	if f := events[len(events)-1].GetFailed(); strings.Contains(f.GetMessage(), "pulled") {
		t.Errorf("shows internals: %v", f)
	}
	if err := p.ended(); !errors.Is(err, abi.ErrDeviceLost) {
		t.Errorf("ended with %v", err)
	}
}

// hanging is a backend whose steps never end once told to hang.
type hanging struct {
	engine.Backend
	hangs *atomic.Bool
}

func (h hanging) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	if h.hangs.Load() {
		time.Sleep(timeout)
		return abi.Errorf(abi.Timeout, "wait", "step %d still runs", seq)
	}
	return h.Backend.Wait(seq, r, timeout)
}

// TestHungStepEndsTheProcess demands that a step without an end ends its engine, in
// words that name the limit, from the first request on.
func TestHungStepEndsTheProcess(t *testing.T) {
	for _, warm := range []bool{false, true} {
		var hangs atomic.Bool
		hangs.Store(!warm)
		p := startWith(t, 0, func(l abi.Limits) (engine.Backend, error) {
			b, err := ref.New(l)
			return hanging{b, &hangs}, err
		})
		agent := p.agent(loadOf(tiny.GGUF(), &wire.EngineOptions{Backend: "ref", Threads: 1, StepLimitS: 1}))
		if warm {
			p.until(agent, isReady)
			hangs.Store(true)
			if e := p.ask(greedy([]int32{1}, 5)).err; e != nil && !e.GetEngineEnded() {
				t.Errorf("the request ended with %v, want engine_ended", e)
			}
		}
		events := p.until(agent, isFailed)
		if m := events[len(events)-1].GetFailed().GetMessage(); !strings.Contains(m, "limit of 1s") {
			t.Errorf("warm = %v: the agent hears %q", warm, m)
		}
		var hung *hungError
		if err := p.ended(); warm && !errors.As(err, &hung) {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestWireErrors(t *testing.T) {
	for _, c := range []struct {
		err   error
		code  wire.ErrorCode
		param string
	}{
		{&engine.InvalidError{Field: "top_p", Value: 2, Bound: "at most 1"}, wire.ErrorCode_ERROR_CODE_INVALID, "top_p"},
		{&engine.ContextError{Prompt: 9, MaxTokens: 1, Context: 8}, wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH, "prompt"},
		{&engine.BusyError{RetryAfter: 2 * time.Second}, wire.ErrorCode_ERROR_CODE_BUSY, ""},
		{&engine.NumericError{}, wire.ErrorCode_ERROR_CODE_NUMERIC, ""},
		{engine.ErrDraining, wire.ErrorCode_ERROR_CODE_UNAVAILABLE, ""},
		{engine.ErrStopped, wire.ErrorCode_ERROR_CODE_UNAVAILABLE, ""},
		{fmt.Errorf("%w: secret", engine.ErrBackend), wire.ErrorCode_ERROR_CODE_UNAVAILABLE, ""},
		{context.DeadlineExceeded, wire.ErrorCode_ERROR_CODE_DEADLINE, ""},
		{errors.New("secret"), wire.ErrorCode_ERROR_CODE_INTERNAL, ""},
	} {
		e := wireError(fmt.Errorf("submit: %w", c.err))
		if lost := errors.Is(c.err, engine.ErrBackend); e.GetEngineEnded() != lost {
			t.Errorf("%v became %v, whose engine_ended must be %v", c.err, e, lost)
		}
		if e.GetCode() != c.code || e.GetParam() != c.param || e.GetMessage() == "" || strings.Contains(e.GetMessage(), "secret") {
			t.Errorf("%v became %v", c.err, e)
		}
	}
	if e := wireError(&engine.BusyError{RetryAfter: 2 * time.Second}); e.GetRetryAfterMs() != 2000 {
		t.Errorf("busy: %v", e)
	}
}
