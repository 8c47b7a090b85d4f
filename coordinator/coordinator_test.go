package coordinator

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// patience is how long a test waits for what must come, on a machine that does much else.
const patience = time.Minute

// running is a coordinator in this process, on loopback ports.
type running struct {
	t    *testing.T
	cfg  Config
	base string
	stop context.CancelFunc
	done chan error
}

func config(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	return Config{
		Dir: filepath.Join(dir, "data"), API: freePort(t), Fleet: "127.0.0.1:0", Metrics: freePort(t), Bootstrap: true,
		CAFile: filepath.Join(dir, "ca.crt"), Version: "test", Log: slog.New(slog.DiscardHandler),
	}
}

// freePort is one that nobody had a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a coordinator until the test ends, and returns once it is ready.
func start(t *testing.T, cfg Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, cfg: cfg, base: "http://" + cfg.API, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- Run(ctx, cfg) }()
	t.Cleanup(r.end)
	deadline := time.Now().Add(patience)
	for r.get("/readyz", "") != http.StatusOK {
		select {
		case err := <-r.done:
			t.Fatal("the coordinator ended: ", err)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready within %v", patience)
		}
	}
	return r
}

// end stops it; a second end does nothing.
func (r *running) end() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.done; err != nil {
		r.t.Error("the coordinator ended: ", err)
	}
}

// get gives the status of a path; 0 when nobody answers.
func (r *running) get(path, key string) int {
	status, _ := r.fetch(r.base+path, key)
	return status
}

func (r *running) fetch(url, key string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (r *running) adminKey() string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.cfg.Dir, "admin-key"))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (r *running) admin() *api.Client { return api.NewClient(r.base, r.adminKey(), nil) }

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Without a fleet to belong to, it says so and ends rather than wait for ever.
func TestNothingToBelongTo(t *testing.T) {
	cfg := config(t)
	cfg.Bootstrap = false
	err := Run(bounded(t), cfg)
	if err == nil || !strings.Contains(err.Error(), "--bootstrap") || !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("%v; want the way to found a fleet", err)
	}
	cfg.Bootstrap = true
	start(t, cfg).end()
	cfg.Bootstrap = false
	start(t, cfg)
}

// Who may read what.
func TestPaths(t *testing.T) {
	r := start(t, config(t))
	user, err := r.admin().CreateKey(bounded(t), api.KeySpec{Name: "app", Role: "user"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path                  string
		anonymous, app, admin int
	}{
		{"/healthz", 200, 200, 200},
		{"/readyz", 200, 200, 200},
		{"/openapi.json", 200, 200, 200},
		{"/docs", 200, 200, 200},
		{"/metrics", 401, 200, 200},
		{"/v1/models", 401, 200, 200},
		{"/api/v1/status", 401, 403, 200},
		{"/nothing", 404, 404, 404},
	} {
		for key, want := range map[string]int{"": c.anonymous, user.Secret: c.app, r.adminKey(): c.admin} {
			if got := r.get(c.path, key); got != want {
				t.Errorf("%s with key %.6q: %d, want %d", c.path, key, got, want)
			}
		}
	}
	for _, name := range []string{"nanofleet_nodes_connected 0", "nanofleet_raft_applied_index", "go_goroutines"} {
		if _, body := r.fetch("http://"+r.cfg.Metrics+"/metrics", ""); !strings.Contains(body, name) {
			t.Errorf("metrics lack %q", name)
		}
	}
	if pem, err := os.ReadFile(r.cfg.CAFile); err != nil || !strings.Contains(string(pem), "CERTIFICATE") {
		t.Errorf("CA file: %q, %v", pem, err)
	}
}

// A model is added, deployed and waits for an agent; all of it is there after a
// restart, with the same key, and the second start is quick.
func TestModelAndRestart(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	ctx, admin, key := bounded(t), r.admin(), r.adminKey()
	version, err := admin.AddModel(ctx, "tiny", tiny.GGUF(), nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := admin.AddModel(ctx, "tiny", tiny.GGUF(), nil)
	if err != nil || again.ID != version.ID {
		t.Errorf("added again: %v, %v; want version %s", again, err, version.ID)
	}
	d, err := admin.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateToken(ctx, api.TokenSpec{}); err != nil {
		t.Error(err)
	}
	var problem string
	for problem == "" && ctx.Err() == nil {
		if d, err = admin.Deployment(ctx, "chat"); err != nil {
			t.Fatal(err)
		}
		problem = d.Problem
	}
	if !strings.Contains(problem, "no agent has joined") {
		t.Errorf("problem is %q", problem)
	}
	r.end()
	r = startsQuickly(t, cfg)
	if r.adminKey() != key {
		t.Error("a restart made another admin key")
	}
	served, err := r.admin().ServedModels(ctx)
	if err != nil || len(served) != 1 || served[0] != "chat" {
		t.Errorf("serves %q, %v", served, err)
	}
	if _, err := r.admin().Deployment(ctx, "chat"); err != nil {
		t.Error(err)
	}
}

// startsQuickly starts a coordinator that has run before. One start may be slow on a
// busy machine; five in a row are slow for a reason.
func startsQuickly(t *testing.T, cfg Config) *running {
	t.Helper()
	for n := 1; ; n++ {
		began := time.Now()
		r := start(t, cfg)
		took := time.Since(began)
		if took < 2*time.Second {
			t.Logf("ready again after %v", took)
			return r
		}
		if n == 5 {
			t.Fatalf("none of %d starts took less than 2s, the last took %v", n, took)
		}
		r.end()
	}
}

// An operator's choice is kept: after the first admin key was replaced, a restart
// brings it back neither in state nor in the file.
func TestRevokedFirstKeyStaysRevoked(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	ctx, first := bounded(t), r.adminKey()
	next, err := r.admin().CreateKey(ctx, api.KeySpec{Name: "mine", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	client := api.NewClient(r.base, next.Secret, nil)
	keys, err := client.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.ID != next.ID {
			if err := client.RevokeKey(ctx, k.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.end()
	r = start(t, cfg)
	if got := r.get("/api/v1/status", first); got != http.StatusUnauthorized {
		t.Errorf("the revoked key gets %d, want 401", got)
	}
	if got := r.get("/api/v1/status", next.Secret); got != http.StatusOK {
		t.Errorf("the new key gets %d, want 200", got)
	}
}

func TestPortInUseIsAnError(t *testing.T) {
	cfg := config(t)
	l, err := net.Listen("tcp", cfg.API)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Run(bounded(t), cfg); err == nil || !strings.Contains(err.Error(), cfg.API) {
		t.Errorf("%v, want an error that names %s", err, cfg.API)
	}
}

func TestConfigBounds(t *testing.T) {
	good := config(t)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for key, spoil := range map[string]func(*Config){
		"data":     func(c *Config) { c.Dir = "" },
		"api":      func(c *Config) { c.API = "8080" },
		"listen":   func(c *Config) { c.Fleet = "" },
		"metrics":  func(c *Config) { c.Metrics = "0.0.0.0:7801" },
		"tls-cert": func(c *Config) { c.TLSCert = "a.pem" },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, want an error that names it", key, err)
		}
		if err := Run(bounded(t), bad); err == nil {
			t.Error(errors.New(key + ": it ran"))
		}
	}
}
