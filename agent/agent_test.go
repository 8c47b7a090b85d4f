package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/agents"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/server"
	"github.com/nanofleet/nanofleet/internal/blob"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/svc"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// patience bounds waits that end by events.
const patience = 60 * time.Second

// TestMain is the engine's program too: the agents of the tests start this binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		if err := engineMain(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func engineMain(args []string) error {
	orphan, err := time.ParseDuration(args[3])
	if err != nil || args[0] != "--socket" || args[2] != "--orphan-timeout" {
		return fmt.Errorf("arguments %q", args)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	return server.Run(ctx, server.Config{
		Socket: args[1], OrphanTimeout: orphan, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		Backends: map[string]func(abi.Limits) (engine.Backend, error){
			"ref": func(l abi.Limits) (engine.Backend, error) { return ref.New(l) },
		},
	})
}

// replica is replicated state in memory.
type replica struct {
	store *state.Store

	mu    sync.Mutex
	index uint64
}

func (r *replica) Apply(_ context.Context, cmd state.Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index++
	return r.store.Apply(r.index, cmd)
}

func (r *replica) Snapshot() *state.Snapshot { return r.store.Snapshot() }
func (r *replica) Watch() <-chan struct{}    { return r.store.Watch() }

// fleet is a coordinator of real parts but raft: sessions and blobs on one fleet port.
type fleet struct {
	t       *testing.T
	ca      *pki.CA
	replica *replica
	server  *agents.Server
	addr    string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, ca: ca, replica: &replica{store: state.New()}}
	id, err := pki.OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := id.CSR("c1")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ca.Sign(csr, pki.Peer{Role: pki.RoleCoordinator, NodeID: "c1"}, pki.NodeTTL, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Install(chain); err != nil {
		t.Fatal(err)
	}
	l, err := transport.Listen("127.0.0.1:0", id, ca.Pool(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	f.server = agents.NewServer(agents.Config{
		Replica: f.replica, CA: ca, Now: time.Now, NewID: func() string { return strings.ToLower(rand.Text()[:12]) },
		Coordinators: func() []string { return []string{f.addr} }, Log: slog.New(slog.DiscardHandler),
	})
	blobs := f.addModel()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.server.Serve(ctx, l) }()
	web := &http.Server{Handler: blob.Handler(blobs)}
	go func() { _ = web.Serve(l.TCP()) }()
	t.Cleanup(func() {
		cancel()
		_ = web.Close()
		_ = l.Close()
		<-done
		_ = blobs.Close()
	})
	return f
}

// chunkSize cuts the tiny model into several chunks.
const chunkSize = 256 << 10

// addModel records the tiny model as version v1 of "tiny", deployed as "chat".
func (f *fleet) addModel() *blob.Store {
	f.t.Helper()
	data, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		f.t.Fatal(err)
	}
	file := blob.File{Digest: blob.Digest(sha256.Sum256(data)), Size: uint64(len(data)), ChunkSize: chunkSize}
	var chunks []string
	var parts [][]byte
	for at := 0; at < len(data); at += chunkSize {
		part := data[at:min(at+chunkSize, len(data))]
		sum := sha256.Sum256(part)
		parts, file.Chunks, chunks = append(parts, part), append(file.Chunks, sum), append(chunks, hex.EncodeToString(sum[:]))
	}
	blobs, err := blob.Open(f.t.TempDir())
	if err != nil {
		f.t.Fatal(err)
	}
	w, err := blobs.Begin(file)
	if err != nil {
		f.t.Fatal(err)
	}
	for n, part := range parts {
		if err := w.WriteChunk(n, part); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		f.t.Fatal(err)
	}
	f.apply(
		&state.AddModelVersion{Version: state.Version{
			ID: "v1", Model: "tiny", Project: state.DefaultProject, CreatedMS: 1,
			Files: []state.File{{Path: "tiny.gguf", Size: file.Size, Digest: file.Digest, ChunkSize: chunkSize, Chunks: chunks}},
			Info:  state.VersionInfo{Architecture: "LlamaForCausalLM", Format: "gguf", Parameters: 1, Context: tiny.Context},
		}},
		&state.PutDeployment{Deployment: state.Deployment{
			Name: "chat", Project: state.DefaultProject, Model: "tiny", Version: "v1", Replicas: 1, CreatedMS: 1, UpdatedMS: 1,
		}},
	)
	return blobs
}

func (f *fleet) apply(cmds ...state.Command) {
	f.t.Helper()
	for _, c := range cmds {
		if err := f.replica.Apply(context.Background(), c); err != nil {
			f.t.Fatalf("%T: %v", c, err)
		}
	}
}

func (f *fleet) place(node, instance string) {
	f.t.Helper()
	f.apply(&state.SetInstances{Project: state.DefaultProject, Deployment: "chat", Add: []state.Instance{{
		ID: instance, Project: state.DefaultProject, Deployment: "chat", Model: "tiny", Version: "v1", Node: node, Device: "cpu", CreatedMS: 1,
		Options: state.EngineOptions{Backend: "ref", Threads: 1, Context: 512, MaxRunning: 2, StepTokens: 128},
	}}})
}

func (f *fleet) remove(instance string) {
	f.t.Helper()
	f.apply(&state.SetInstances{Project: state.DefaultProject, Deployment: "chat", Remove: []string{instance}})
}

// config of an agent that can join.
func (f *fleet) config() Config {
	f.t.Helper()
	token, err := pki.NewToken(f.ca.Hash(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	f.apply(&state.CreateJoinToken{Token: state.JoinToken{
		ID: token.ID, Hash: token.SecretHash(), Role: "agent", CreatedMS: now, ExpiresMS: now + time.Hour.Milliseconds(),
	}})
	path := filepath.Join(f.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token.String()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	return Config{
		DataDir: f.t.TempDir(), Coordinators: []string{f.addr}, TokenFile: path, OrphanTimeout: patience,
		StopEngines: true, Engine: []string{self, "engine"}, Version: "test", Log: slog.New(slog.DiscardHandler),
	}
}

// run runs an agent until stop, or the test's end.
func (f *fleet) run(cfg Config) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("the agent ended with %v", err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

func (f *fleet) until(what string, ok func() bool) {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		changed := f.server.Table().Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond): // state changes without a report too
		case <-deadline:
			f.t.Fatalf("not %s within %v", what, patience)
		}
	}
}

// node waits for the one agent to connect.
func (f *fleet) node() (id string) {
	f.t.Helper()
	f.until("connected", func() bool {
		for _, n := range f.replica.Snapshot().Nodes() {
			id = n.ID
			if yes, _, _ := f.server.Table().Node(id); yes {
				return true
			}
		}
		return false
	})
	return id
}

func (f *fleet) untilReady(node, instance string) {
	f.t.Helper()
	f.until("ready", func() bool {
		st, live := f.server.Table().Instance(node, instance)
		return live && st.GetState() == wire.InstanceState_INSTANCE_STATE_READY
	})
}

// ask has an instance generate n tokens and gives them. What the table says of an
// agent that has just come back may be older than it: then the instance is asked again.
func (f *fleet) ask(node, instance string, n uint32) (ids []int32) {
	f.t.Helper()
	f.until("it answers", func() bool {
		var again bool
		ids, again = f.askOnce(node, instance, n)
		return !again
	})
	return ids
}

func (f *fleet) askOnce(node, instance string, n uint32) (ids []int32, again bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	zero := float32(0)
	s, err := f.server.Table().Generate(ctx, node, &wire.GenerateRequest{
		RequestId: "r", Instance: instance, Prompt: []int32{5, 6, 7}, MaxTokens: n, IgnoreEos: true,
		Sampling: &wire.Sampling{Temperature: &zero},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	defer s.Close()
	for {
		ev, err := s.Recv()
		if e := ev.GetError(); len(ids) == 0 && e.GetCode() == wire.ErrorCode_ERROR_CODE_UNAVAILABLE && !e.GetEngineEnded() {
			return nil, true
		}
		if err != nil || ev.GetError() != nil {
			f.t.Fatalf("after %d tokens: %v, %v", len(ids), ev.GetError(), err)
		}
		if ev.GetFinished() != nil {
			return ids, false
		}
		ids = append(ids, ev.GetTokens().GetIds()...)
	}
}

func process(t *testing.T, cfg Config, instance string) svc.Process {
	t.Helper()
	p, err := svc.ReadPID(filepath.Join(cfg.DataDir, "run", instance+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWholePath goes from a join token to tokens, through every part of the agent.
func TestWholePath(t *testing.T) {
	f := newFleet(t)
	cfg := f.config()
	stop := f.run(cfg)
	node := f.node()
	f.place(node, "inst-a")
	f.untilReady(node, "inst-a")
	want := f.ask(node, "inst-a", 12)
	if len(want) != 12 {
		t.Fatalf("%d tokens, want 12", len(want))
	}
	if err := Run(context.Background(), cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("a second agent on the directory: %v", err)
	}
	p := process(t, cfg, "inst-a")
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.until("restarted", func() bool {
		st, live := f.server.Table().Instance(node, "inst-a")
		return live && st.GetRestarts() == 1 && st.GetState() == wire.InstanceState_INSTANCE_STATE_READY
	})
	if got := f.ask(node, "inst-a", 12); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after a restart %v, before %v", got, want)
	}
	f.remove("inst-a")
	f.until("gone", func() bool { st, _ := f.server.Table().Instance(node, "inst-a"); return st == nil })
	f.place(node, "inst-b")
	f.untilReady(node, "inst-b")
	p = process(t, cfg, "inst-b")
	stop()
	if p.Running() {
		t.Error("the engine outlives an agent that was to end it")
	}
}

// TestRestartKeepsEngines stops the agent alone: its engines go on, and the next one,
// whose token was spent long ago, serves with them.
func TestRestartKeepsEngines(t *testing.T) {
	f := newFleet(t)
	cfg := f.config()
	cfg.StopEngines = false
	stop := f.run(cfg)
	node := f.node()
	f.place(node, "inst-a")
	f.untilReady(node, "inst-a")
	p := process(t, cfg, "inst-a")
	stop()
	if !p.Running() {
		t.Fatal("the engine ended with its agent")
	}
	f.until("disconnected", func() bool { yes, _, _ := f.server.Table().Node(node); return !yes })
	cfg.TokenFile, cfg.Coordinators, cfg.StopEngines = "", nil, true // what it learnt must do
	f.run(cfg)
	f.until("connected", func() bool { yes, _, _ := f.server.Table().Node(node); return yes })
	f.untilReady(node, "inst-a")
	if got := f.ask(node, "inst-a", 5); len(got) != 5 {
		t.Errorf("%d tokens, want 5", len(got))
	}
	if process(t, cfg, "inst-a") != p {
		t.Error("the engine was started anew")
	}
}

func TestStopBeforeJoining(t *testing.T) {
	f := newFleet(t)
	cfg := f.config()
	cfg.Coordinators = []string{"127.0.0.1:9"} // nobody is there
	stop := f.run(cfg)
	stop()
}

func TestValidate(t *testing.T) {
	good := Config{DataDir: "d", Coordinators: []string{"h:7800"}, OrphanTimeout: time.Minute, Engine: []string{"/bin/true"}, Log: slog.New(slog.DiscardHandler)}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for key, spoil := range map[string]func(*Config){
		"data":           func(c *Config) { c.DataDir = "" },
		"coordinators":   func(c *Config) { c.Coordinators = []string{"h:7800", "h"} },
		"orphan-timeout": func(c *Config) { c.OrphanTimeout = time.Millisecond },
		"engine":         func(c *Config) { c.Engine = []string{"nanofleet", "engine"} },
		"log":            func(c *Config) { c.Log = nil },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s spoilt: %v", key, err)
		}
		if err := Run(context.Background(), c); err == nil {
			t.Errorf("%s spoilt: runs", key)
		}
	}
}
