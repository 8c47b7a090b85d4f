package router

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// A request waits for an instance that is being started, and no longer than patience.
func TestWaitsForAnInstance(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		f.list[0].Ready = false
		go func() {
			time.Sleep(50 * time.Second)
			f.change(func() { f.list[0].Ready = true })
		}()
		began := time.Now()
		if a := generate(t.Context(), f.router(), ask(1, 2, 3)); a.err != nil || a.text != wholeText {
			t.Fatalf("%q, %v", a.text, a.err)
		}
		if waited := time.Since(began); waited != 50*time.Second {
			t.Errorf("answered after %v, want 50s", waited)
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		alter func(*fleet, *wire.GenerateRequest)
		after time.Duration
		is    func(error) bool
	}{
		{"none there", func(f *fleet, _ *wire.GenerateRequest) { f.list = nil }, time.Minute, isNotReady},
		{"none ready", func(f *fleet, _ *wire.GenerateRequest) { f.list[0].Ready = false }, time.Minute, isNotReady},
		{"all busy", func(f *fleet, _ *wire.GenerateRequest) { f.list[0].Running = 4; f.list[0].Waiting = 2 }, time.Minute, isBusy},
		{"its deadline", func(f *fleet, q *wire.GenerateRequest) {
			f.list[0].Ready = false
			q.DeadlineUnixMs = time.Now().Add(3 * time.Second).UnixMilli()
		}, 3 * time.Second, func(err error) bool { return errors.Is(err, ErrDeadline) }},
		{"unknown", func(f *fleet, _ *wire.GenerateRequest) { f.known = false }, 0, func(err error) bool { return errors.Is(err, ErrUnknownModel) }},
	} {
		inTime(t, func(t *testing.T) {
			f, q, began := newFleet("a"), ask(1), time.Now()
			c.alter(f, q)
			if a := generate(t.Context(), f.router(), q); !c.is(a.err) || time.Since(began) != c.after {
				t.Errorf("%s: %v after %v, want it after %v", c.name, a.err, time.Since(began), c.after)
			}
		})
	}
}

func isNotReady(err error) bool { var e *NotReadyError; return errors.As(err, &e) && e.RetryAfter > 0 }
func isBusy(err error) bool     { var e *BusyError; return errors.As(err, &e) && e.RetryAfter > 0 }

// The line is bounded, serves in order of priority and arrival, and moves on when a
// stream ends or a request gives up.
func TestLine(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		f.list[0].MaxRunning = 1 // room for three
		cfg := DefaultConfig()
		cfg.Line = 4
		r := New(cfg, f, f, time.Now)
		var open []*Stream
		for range 3 {
			s, err := r.Generate(t.Context(), "m", ask(1))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, s)
		}
		served := make(chan string, 4)
		wait := func(ctx context.Context, name string, priority int32) {
			q := ask(1)
			q.Priority = priority
			go func() {
				s, err := r.Generate(ctx, "m", q)
				if err != nil {
					name += " gave up"
				}
				served <- name
				if err == nil {
					defer s.Close()
					time.Sleep(time.Second)
				}
			}()
			synctest.Wait()
		}
		impatient, leave := context.WithCancel(t.Context())
		wait(impatient, "first", 0)
		wait(t.Context(), "second", 5)
		wait(t.Context(), "third", 1)
		wait(t.Context(), "fourth", 5)
		if _, err := r.Generate(t.Context(), "m", ask(1)); !isBusy(err) {
			t.Errorf("a full line says %v", err)
		}
		leave()
		for i, want := range []string{"first gave up", "third", "second", "fourth"} {
			if i > 0 && i <= len(open) {
				synctest.Wait()
				if err := open[i-1].Close(); err != nil {
					t.Error(err)
				}
			}
			if got := <-served; got != want {
				t.Errorf("served %q, want %q", got, want)
			}
		}
		time.Sleep(2 * time.Second) // let them close
	})
}

// Refusals that another instance would repeat are given as they are, at once.
func TestRefusalsPass(t *testing.T) {
	for _, code := range []wire.ErrorCode{
		wire.ErrorCode_ERROR_CODE_INVALID, wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH,
		wire.ErrorCode_ERROR_CODE_NUMERIC, wire.ErrorCode_ERROR_CODE_DEADLINE, wire.ErrorCode_ERROR_CODE_INTERNAL,
	} {
		inTime(t, func(t *testing.T) {
			f := newFleet("a", "b")
			f.engines["na"].script = []fault{{event: errorEvent(code)}}
			a := generate(t.Context(), f.router(), ask(1))
			var e *EngineError
			if !errors.As(a.err, &e) || e.Wire.GetCode() != code || len(f.engines["nb"].requests) != 0 {
				t.Errorf("%v: %v", code, a.err)
			}
		})
	}
}

// A request that breaks whatever runs it is given up.
func TestPoison(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a", "b", "c", "d", "e")
		asked := 0
		for _, e := range f.engines {
			e.script = []fault{{tokens: 1}, {tokens: 1}, {tokens: 1}, {tokens: 1}}
		}
		q := ask(1)
		q.MaxTokens = 20
		a := generate(t.Context(), f.router(), q)
		for _, e := range f.engines {
			asked += len(e.requests)
		}
		if !errors.Is(a.err, ErrBroken) || asked != DefaultConfig().Breaks+1 {
			t.Errorf("%v after %d instances", a.err, asked)
		}
	})
}

// The end of the context ends Recv and Generate at once, also between instances.
func TestContextEnds(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		f.engines["na"].script = []fault{{tokens: 2}}
		r := f.router()
		ctx, cancel := context.WithCancel(t.Context())
		s, err := r.Generate(ctx, "m", ask(1))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := s.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		f.change(func() { f.list[0].Ready = false })
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if _, err := s.Recv(); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("Recv says %v after %v", err, time.Since(began))
		}
		if _, err := r.Generate(ctx, "m", ask(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("Generate says %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestConfigBounds(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []Config{{Line: 1}, {Patience: 1}, {Patience: 1, Line: 1, Breaks: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
