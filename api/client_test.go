package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Refusals reach people in the server's words, whichever of its forms they have.
func TestErrorsAreRead(t *testing.T) {
	for _, c := range []struct {
		body, want string
	}{
		{`{"title":"Unprocessable Entity","detail":"validation failed","errors":[{"message":"expected number <= 1024","location":"body.replicas","value":100000000}]}`,
			"validation failed; body.replicas: expected number <= 1024 (got 100000000)"},
		{`{"detail":"validation failed","errors":[{"message":"expected length <= 128","location":"body.name","value":"` + strings.Repeat("x", 5000) + `"}]}`,
			`validation failed; body.name: expected length <= 128 (got "` + strings.Repeat("x", 79) + `...)`},
		{`{"detail":"validation failed","errors":[{"message":"unexpected property","location":"body.x"}]}`,
			"validation failed; body.x: unexpected property"},
		{`{"title":"Forbidden"}`, "Forbidden"},
		{`{"error":{"message":"no such model","code":"model_not_found","param":"model"}}`, "no such model"},
		{`<html>`, "HTTP 418 I'm a teapot"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte(c.body))
		}))
		_, err := NewClient(s.URL, "", nil).Status(t.Context())
		s.Close()
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusTeapot || e.Error() != c.want {
			t.Errorf("%s: %v, want %q", c.body, err, c.want)
		}
	}
}
