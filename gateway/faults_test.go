package gateway

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nanofleet/nanofleet/wire"
)

// TestFaults stages what goes wrong behind the gateway, before the first event and
// after it.
func TestFaults(t *testing.T) {
	busy := FromWire(&wire.Error{Code: wire.ErrorCode_ERROR_CODE_BUSY, Message: "queue full", RetryAfterMs: 1500})
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
		says   string
	}{
		{"busy", busy, 429, "server_is_overloaded", "queue full"},
		{"no text for clients", errors.New("secret path /var/lib"), 500, "internal_error", "server had an error"},
		{"cut", io.EOF, 500, "internal_error", "server had an error"},
	} {
		s := newStage(t)
		s.actor.event = func(i int, _ *wire.GenerateEvent) error {
			if i == 0 {
				return c.err
			}
			return nil
		}
		for _, stream := range []string{"false", "true"} {
			w := s.ask("POST", "/v1/chat/completions", `{`+hello+`,"stream":`+stream+`}`)
			message, _, _, code := refusal(t, w)
			if w.Code != c.status || code != c.code || !strings.Contains(message, c.says) {
				t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			}
			if c.err == busy && (w.Header().Get("Retry-After") != "2" || w.Header().Get("Retry-After-Ms") != "1500") {
				t.Errorf("%s: headers %v", c.name, w.Header())
			}
			if rec := s.audit.last(); rec.Status != c.status || rec.Error == "" {
				t.Errorf("%s: record %+v", c.name, rec)
			}
		}
		s.actor.event = func(i int, _ *wire.GenerateEvent) error {
			if i == 3 {
				return c.err
			}
			return nil
		}
		w := s.lockstep("POST", "/v1/chat/completions", `{`+hello+`,"stream":true}`)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, "event: error\ndata: {\"error\":{\"message\":") || !strings.Contains(body, c.says) || !strings.HasSuffix(body, "\n\ndata: [DONE]\n\n") || strings.Contains(body, "secret") {
			t.Errorf("%s in a stream: %d %s", c.name, w.Code, body)
		}
		if s.actor.active() != 0 {
			t.Errorf("%s: %d sequences still run", c.name, s.actor.active())
		}
	}
}

// TestRouterRefuses has no stream to begin with.
func TestRouterRefuses(t *testing.T) {
	s := newStage(t)
	s.actor.refuse = &Error{Status: 503, Code: "service_unavailable", Message: "No instance is ready."}
	w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`)
	if message, kind, _, _ := refusal(t, w); w.Code != 503 || kind != "server_error" || message != "No instance is ready." {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestPanics stages faults of our own: the request fails, the gateway goes on.
func TestPanics(t *testing.T) {
	s := newStage(t)
	fine := s.Catalog
	s.Catalog = nil
	if w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`); w.Code != 500 || !strings.Contains(s.audit.last().Error, "panic") {
		t.Errorf("in the handler: %d %s", w.Code, w.Body)
	}
	s.Catalog = fine
	s.actor.event = func(i int, _ *wire.GenerateEvent) error {
		if i == 2 {
			panic("staged")
		}
		return nil
	}
	if w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`); w.Code != 500 || strings.Contains(w.Body.String(), "staged") {
		t.Errorf("in a sequence: %d %s", w.Code, w.Body)
	}
	s.actor.event = nil
	if w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`); w.Code != 200 || s.actor.active() != 0 {
		t.Errorf("afterwards: %d %s, %d sequences run", w.Code, w.Body, s.actor.active())
	}
}

// TestCutBody sends less than it promised.
func TestCutBody(t *testing.T) {
	s := newStage(t)
	r := httptest.NewRequest("POST", "/v1/completions", io.MultiReader(strings.NewReader(`{"model":`), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Authorization", testKey)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if _, _, _, code := refusal(t, w); w.Code != 400 || code != "invalid_body" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestWireErrors shows every error code that an engine may send.
func TestWireErrors(t *testing.T) {
	for code, want := range map[wire.ErrorCode]int{
		wire.ErrorCode_ERROR_CODE_UNSPECIFIED: 500, wire.ErrorCode_ERROR_CODE_INVALID: 400, wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH: 400,
		wire.ErrorCode_ERROR_CODE_NOT_FOUND: 404, wire.ErrorCode_ERROR_CODE_BUSY: 429, wire.ErrorCode_ERROR_CODE_UNAVAILABLE: 503,
		wire.ErrorCode_ERROR_CODE_INTERNAL: 500, wire.ErrorCode_ERROR_CODE_DENIED: 403, wire.ErrorCode_ERROR_CODE_DEADLINE: 408,
		wire.ErrorCode_ERROR_CODE_NUMERIC: 500,
	} {
		s := newStage(t)
		s.Router = fault{&wire.Error{Code: code}}
		w := s.ask("POST", "/v1/chat/completions", `{`+hello+`,"stream":true}`)
		if message, _, _, _ := refusal(t, w); w.Code != want || message == "" {
			t.Errorf("%s: %d %s, want %d", code, w.Code, w.Body, want)
		}
	}
}

// fault is a Router whose streams hold one error.
type fault struct{ err *wire.Error }

func (f fault) Generate(context.Context, string, *wire.GenerateRequest) (Stream, error) {
	return f, nil
}
func (f fault) Recv() (*wire.GenerateEvent, error) {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Error{Error: f.err}}, nil
}
func (f fault) Close() error { return nil }
