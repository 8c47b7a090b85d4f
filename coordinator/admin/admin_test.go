package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/registry"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/secrets"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// replica is replicated state without the replication; its verdicts carry statuses as
// the coordinator's do.
type replica struct {
	store *state.Store

	mu    sync.Mutex
	index uint64
}

type verdict struct {
	error
	status int
}

func (v verdict) HTTPStatus() int { return v.status }

func (r *replica) Apply(_ context.Context, cmd state.Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index++
	err := r.store.Apply(r.index, cmd)
	for is, status := range map[error]int{state.ErrNotFound: 404, state.ErrConflict: 409, state.ErrExists: 409, state.ErrInvalid: 422} {
		if errors.Is(err, is) {
			return verdict{err, status}
		}
	}
	return err
}

func (r *replica) Snapshot() *state.Snapshot { return r.store.Snapshot() }
func (r *replica) Leader() string            { return "c1" }

// live is what agents would have reported.
type live struct {
	instances map[string]InstanceView
	nodes     map[string]NodeView
	old       map[string]bool
}

func (l live) Instance(id string) (InstanceView, bool) { v, ok := l.instances[id]; return v, ok }
func (l live) Node(id string) (NodeView, bool)         { v, ok := l.nodes[id]; return v, ok }
func (l live) Queued(_, model string) int              { return len(model) }
func (l live) Old(id string) bool                      { return l.old[id] }
func (l live) Placed(_, d string) (uint64, string)     { return 7, "why " + d + " lacks replicas" }

// callers admits the header "Bearer admin" and nobody else.
type callers struct{}

func (callers) AuthenticateAdmin(_ context.Context, header string) (Caller, error) {
	if header != "Bearer admin" {
		return Caller{}, verdict{errors.New("the key is not known"), http.StatusUnauthorized}
	}
	return Caller{KeyID: "key-0", Project: state.DefaultProject}, nil
}

type fixture struct {
	t       *testing.T
	replica *replica
	live    live
	url     string
	client  *api.Client
}

func serve(t *testing.T) *fixture {
	t.Helper()
	reg, err := registry.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		t: t, replica: &replica{store: state.New()},
		live: live{instances: map[string]InstanceView{}, nodes: map[string]NodeView{}, old: map[string]bool{}},
	}
	mux, next := http.NewServeMux(), 0
	Mount(mux, Deps{
		Replica: f.replica, Registry: reg, Live: f.live, Auth: callers{}, Version: "test", CAHash: [32]byte{1},
		Now:   func() time.Time { return time.UnixMilli(1_700_000_000_000) },
		NewID: func() string { next++; return fmt.Sprint("n", next) },
	})
	s := httptest.NewServer(mux)
	f.url, f.client = s.URL, api.NewClient(s.URL, "admin", nil)
	t.Cleanup(func() {
		s.Close()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) apply(cmd state.Command) {
	f.t.Helper()
	if err := f.replica.Apply(f.t.Context(), cmd); err != nil {
		f.t.Fatalf("%T: %v", cmd, err)
	}
}

// refused checks that an error is the API's, of a status, and says what is wrong.
func refused(t *testing.T, err error, status int, says string) {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) || e.Status != status || !strings.Contains(e.Error(), says) {
		t.Errorf("%v; want status %d and %q", err, status, says)
	}
}

func TestKeys(t *testing.T) {
	f := serve(t)
	made, err := f.client.CreateKey(t.Context(), api.KeySpec{Name: "app"})
	if err != nil {
		t.Fatal(err)
	}
	stored, ok := f.replica.Snapshot().KeyByHash(secrets.Hash(made.Secret))
	if !ok || stored.ID != made.ID || stored.Role != state.RoleUser {
		t.Errorf("stored %+v, made %+v", stored, made)
	}
	if err := f.client.RevokeKey(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	keys, err := f.client.Keys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Revoked.IsZero() || strings.Contains(fmt.Sprint(keys), made.Secret) {
		t.Errorf("keys %+v, %v", keys, err)
	}
	refused(t, f.client.RevokeKey(t.Context(), "key-none"), 404, "key-none")
	_, err = f.client.CreateKey(t.Context(), api.KeySpec{Name: "app", Role: "king"})
	refused(t, err, 422, "role")
	_, err = f.client.CreateKey(t.Context(), api.KeySpec{})
	refused(t, err, 422, "name")
}

func TestTokens(t *testing.T) {
	f := serve(t)
	made, err := f.client.CreateToken(t.Context(), api.TokenSpec{TTL: "90m"})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := pki.ParseToken(made.Token)
	if err != nil || tok.CAHash != [32]byte{1} {
		t.Errorf("token %+v, %v", tok, err)
	}
	if want := time.UnixMilli(1_700_000_000_000).Add(90 * time.Minute); !made.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", made.Expires, want)
	}
	for _, ttl := range []string{"soon", "-1h", "0s"} {
		_, err := f.client.CreateToken(t.Context(), api.TokenSpec{TTL: ttl})
		refused(t, err, 422, ttl)
	}
}

func TestModelAndDeployment(t *testing.T) {
	f := serve(t)
	ctx, c := t.Context(), f.client
	_, err := c.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Replicas: 1})
	refused(t, err, 404, "tiny")
	v, err := c.AddModel(ctx, "tiny", tiny.GGUF(), nil)
	if err != nil {
		t.Fatal(err)
	}
	models, err := c.Models(ctx)
	if err != nil || len(models) != 1 || len(models[0].Versions) != 1 || models[0].Versions[0].ID != v.ID {
		t.Errorf("models %+v, %v", models, err)
	}
	_, err = c.AddModel(ctx, "-tiny", tiny.GGUF(), nil)
	refused(t, err, 422, "-tiny")
	sum := strings.Repeat("0", 64)
	for _, name := range []string{"team/model", "a b", "ä"} {
		// The state machine would refuse these too, but only once the bytes are here.
		file := api.File{Path: "a.gguf", Size: 1, Digest: "sha256:" + sum, ChunkSize: api.ChunkSize, Chunks: []string{sum}}
		_, err = c.BeginUpload(ctx, name, api.Upload{Files: []api.File{file}})
		refused(t, err, 422, fmt.Sprintf("%q, must be 1 to 128", name))
		cmd := &state.AddModelVersion{Version: state.Version{ID: "v-1", Project: "default", Model: name, Files: stateFiles([]api.File{file})}}
		if err := f.replica.Apply(ctx, cmd); err == nil || !strings.Contains(err.Error(), "want 1 to 128") {
			t.Errorf("the state machine on %q: %v", name, err)
		}
	}
	d, err := c.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Replicas: 2, Options: api.EngineOptions{Context: 512}})
	if err != nil || d.Version != v.ID || d.Replicas != 2 || d.Options.Context != 512 || !strings.Contains(d.Problem, "chat") {
		t.Errorf("deployment %+v, %v", d, err)
	}
	_, err = c.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Version: "none", Replicas: 1})
	refused(t, err, 404, "none")
	_, err = c.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Replicas: -1})
	refused(t, err, 422, "replicas")
	_, err = c.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Replicas: 1, Options: api.EngineOptions{Backend: "cpu", Quant: "int4"}})
	refused(t, err, 422, `quant: "int4", backend cpu has only none`)
	_, err = c.Deploy(ctx, "chat", api.DeploymentSpec{Model: "tiny", Replicas: 1, Options: api.EngineOptions{KVDType: "f64"}})
	refused(t, err, 422, "kv_dtype")
	refused(t, c.RemoveModel(ctx, "tiny"), 409, "chat")
	if err := c.Undeploy(ctx, "chat"); err != nil {
		t.Error(err)
	}
	refused(t, c.Undeploy(ctx, "chat"), 404, "chat")
	if err := c.RemoveModel(ctx, "tiny"); err != nil {
		t.Error(err)
	}
	if _, err := c.Deployment(ctx, "chat"); !api.IsNotFound(err) {
		t.Errorf("a removed deployment: %v", err)
	}
}

func TestStatusJoinsStateAndReports(t *testing.T) {
	f := serve(t)
	v, err := f.client.AddModel(t.Context(), "tiny", tiny.GGUF(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.Deploy(t.Context(), "chat", api.DeploymentSpec{Model: "tiny", Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	f.join("node-1")
	f.apply(&state.SetInstances{Project: state.DefaultProject, Deployment: "chat", Add: []state.Instance{{
		ID: "inst-1", Project: state.DefaultProject, Deployment: "chat", Model: "tiny", Version: v.ID, Node: "node-1", Device: "cpu", CreatedMS: 1,
		Options:   state.EngineOptions{Backend: "ref", Context: 512, MaxRunning: 2, StepTokens: 128},
		Footprint: state.Footprint{Weights: 100, KV: 20},
	}}})
	f.live.instances["inst-1"] = InstanceView{State: "ready", Running: 3, Restarts: 1, DecodeRate: 12.5}
	f.live.nodes["node-1"] = NodeView{Connected: true}
	st, err := f.client.Status(t.Context())
	if err != nil || st.Leader != "c1" || len(st.Nodes) != 1 || len(st.Deployments) != 1 {
		t.Fatalf("status %+v, %v", st, err)
	}
	if n := st.Nodes[0]; n.State != "connected" || n.Devices[0].Reserved != 120 {
		t.Errorf("node %+v", n)
	}
	d := st.Deployments[0]
	if d.Ready != 1 || len(d.Instances) != 1 || d.Instances[0].Running != 3 || d.Instances[0].Footprint.Total != 120 {
		t.Errorf("deployment %+v", d)
	}
	if d.Generation != 1 || d.Placed != 7 || d.Instances[0].Old {
		t.Errorf("deployment %+v", d)
	}
	f.live.old["inst-1"] = true
	d, err = f.client.Deployment(t.Context(), "chat")
	if err != nil || d.Ready != 0 || !d.Instances[0].Old {
		t.Errorf("an instance of an earlier generation counts as ready: %+v, %v", d, err)
	}
}

// join registers a node with a cpu of 1000 bytes.
func (f *fixture) join(id string) {
	f.t.Helper()
	hash := strings.Repeat("ab", 32)
	f.apply(&state.CreateJoinToken{Token: state.JoinToken{ID: "t1", Hash: hash, Role: "agent", CreatedMS: 1, ExpiresMS: 100}})
	node := state.Node{ID: id, Hostname: "host", Role: "agent", KeyHash: hash, JoinedMS: 2}
	f.apply(&state.UseJoinToken{ID: "t1", SecretHash: hash, NowMS: 2, Node: node})
	node.Devices = []state.Device{{ID: "cpu", Kind: "cpu", MemoryBytes: 1000, Cores: 1}}
	f.apply(&state.PutNode{Node: node})
}

// Every operation wants a key; the document and its page do not, and need no network.
func TestDocumentAndKeys(t *testing.T) {
	f := serve(t)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(f.get("/openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			operations++
			req, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), f.url+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized || op.OperationID == "" {
				t.Errorf("%s %s (%q) without a key: %d, want 401", method, path, op.OperationID, resp.StatusCode)
			}
		}
	}
	if operations < 12 {
		t.Errorf("the document has %d operations", operations)
	}
	if page := f.get("/docs"); strings.Contains(page, "https://") || !strings.Contains(page, "/openapi.json") {
		t.Error("the page loads from elsewhere, or does not load the document")
	}
}

func (f *fixture) get(path string) string {
	f.t.Helper()
	resp, err := http.Get(f.url + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, resp.Body); err != nil {
		f.t.Fatal(err)
	}
	return b.String()
}
