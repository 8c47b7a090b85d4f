package coordinator

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fetchFrom asks a handler for a path, with a key.
func fetchFrom(h http.Handler, path, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// A request that comes before the state is restored waits for it: the empty state
// would call a good key wrong. Who has waited long enough is told to try again.
func TestRequestsWaitForTheState(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	key := r.adminKey()
	r.end()

	c, err := open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	h := c.handler()
	paths := []string{"/v1/models", "/api/v1/status", "/metrics"}
	for _, path := range paths {
		w := fetchFrom(c.hold(h, 0), path, key)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "Try again") {
			t.Errorf("%s without patience: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/healthz", "/openapi.json", "/docs"} {
		if w := fetchFrom(h, path, ""); w.Code != http.StatusOK {
			t.Errorf("%s: %d, want 200 at any time", path, w.Code)
		}
	}
	answers := make(chan int, len(paths))
	for _, path := range paths {
		go func() { answers <- fetchFrom(h, path, key).Code }()
	}
	ctx, cancel := context.WithCancel(bounded(t))
	led := make(chan error, 1)
	go func() { led <- c.lead(ctx) }()
	for range paths {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("a request during the start: %d, want 200", code)
		}
	}
	cancel()
	if err := <-led; err != nil {
		t.Error(err)
	}
}
