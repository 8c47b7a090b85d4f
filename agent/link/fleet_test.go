package link

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/agents"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// patience bounds waits that end by events.
const patience = 60 * time.Second

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

// fleet is a real coordinator's end of sessions, over state in memory.
type fleet struct {
	t       *testing.T
	ca      *pki.CA
	id      *pki.Identity
	replica *replica
	addr    string

	server *agents.Server
	stop   func()
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now().Add(-60*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, ca: ca, replica: &replica{store: state.New()}, addr: "127.0.0.1:0"}
	if f.id, err = pki.OpenIdentity(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	f.sign(f.id, pki.Peer{Role: pki.RoleCoordinator, NodeID: "c1"}, time.Now())
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

// sign gives an identity a certificate as of then.
func (f *fleet) sign(id *pki.Identity, peer pki.Peer, then time.Time) {
	f.t.Helper()
	csr, err := id.CSR("host")
	if err != nil {
		f.t.Fatal(err)
	}
	chain, err := f.ca.Sign(csr, peer, pki.NodeTTL, then)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := id.Install(chain); err != nil {
		f.t.Fatal(err)
	}
}

// start runs a coordinator; after a stop, again at the same address, with memory of
// nothing but the replicated state.
func (f *fleet) start() {
	f.t.Helper()
	f.server = agents.NewServer(agents.Config{
		Replica: f.replica, CA: f.ca, Now: time.Now, NewID: func() string { return strings.ToLower(rand.Text()[:12]) },
		Coordinators: func() []string { return []string{f.addr} }, Log: slog.New(slog.DiscardHandler),
	})
	l, err := transport.Listen(f.addr, f.id, f.ca.Pool(), transport.Options{
		Admit: func(p pki.Peer, _ *x509.Certificate) error { return f.server.Admit(p) },
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.server.Serve(ctx, l)
	}()
	f.stop = sync.OnceFunc(func() { cancel(); _ = l.Close(); <-done })
}

func (f *fleet) apply(cmds ...state.Command) {
	f.t.Helper()
	for _, c := range cmds {
		if err := f.replica.Apply(context.Background(), c); err != nil {
			f.t.Fatalf("%T: %v", c, err)
		}
	}
}

// token makes a join token and leaves it in a file.
func (f *fleet) token() (pki.Token, string) {
	f.t.Helper()
	t, err := pki.NewToken(f.ca.Hash(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	f.apply(&state.CreateJoinToken{Token: state.JoinToken{
		ID: t.ID, Hash: t.SecretHash(), Role: "agent", CreatedMS: now, ExpiresMS: now + time.Hour.Milliseconds(),
	}})
	return t, f.file(t.String())
}

func (f *fleet) file(text string) string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// place has the node run one more instance.
func (f *fleet) place(node, instance string) {
	f.t.Helper()
	v := state.Version{
		ID: "v1", Model: "tiny", Project: state.DefaultProject, CreatedMS: 1,
		Files: []state.File{{Path: "m.gguf", Size: 4, Digest: "sha256:" + strings.Repeat("a", 64), ChunkSize: 4 << 20, Chunks: []string{strings.Repeat("b", 64)}}},
		Info:  state.VersionInfo{Architecture: "LlamaForCausalLM", Format: "gguf", Parameters: 1, Context: 8},
	}
	if _, ok := f.replica.Snapshot().Version("v1"); !ok {
		f.apply(&state.AddModelVersion{Version: v}, &state.PutDeployment{Deployment: state.Deployment{
			Name: "chat", Project: state.DefaultProject, Model: "tiny", Version: "v1", Replicas: 1, CreatedMS: 1, UpdatedMS: 1,
		}})
	}
	f.apply(&state.SetInstances{Project: state.DefaultProject, Deployment: "chat", Add: []state.Instance{{
		ID: instance, Project: state.DefaultProject, Deployment: "chat", Model: "tiny", Version: "v1",
		Node: node, Device: "cpu", CreatedMS: 1,
	}}})
}

// fakeHost is an agent whose engines exist on paper.
type fakeHost struct {
	mu        sync.Mutex
	telemetry *wire.Telemetry
	changed   chan struct{}
	applied   chan *wire.Desired
	serve     func(ctx context.Context, st *transport.Stream)
}

func newHost() *fakeHost {
	return &fakeHost{telemetry: &wire.Telemetry{}, changed: make(chan struct{}), applied: make(chan *wire.Desired, 64)}
}

func (h *fakeHost) Devices() []*wire.Device {
	return []*wire.Device{{Id: "cpu", Kind: "cpu", Name: "a processor", MemoryTotal: 1 << 30, Cores: 4}}
}

func (h *fakeHost) Telemetry() *wire.Telemetry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.telemetry
}

func (h *fakeHost) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func (h *fakeHost) tell(t *wire.Telemetry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.telemetry = t
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *fakeHost) Apply(d *wire.Desired) { h.applied <- d }

func (h *fakeHost) Generate(ctx context.Context, st *transport.Stream, _ *wire.StreamHeader) {
	h.serve(ctx, st)
}

// desired waits for a statement of n instances.
func (h *fakeHost) desired(t *testing.T, n int) *wire.Desired {
	t.Helper()
	for {
		select {
		case d := <-h.applied:
			if len(d.GetInstances()) == n {
				return d
			}
		case <-time.After(patience):
			t.Fatalf("no desired state of %d instances", n)
		}
	}
}

func (f *fleet) open(dir, tokenFile string) *Link {
	f.t.Helper()
	l, err := Open(Config{Dir: dir, Coordinators: []string{f.addr}, TokenFile: tokenFile, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

// join makes an agent a member and holds its sessions until the test ends, or stop.
func (f *fleet) join(host *fakeHost) (l *Link, stop func()) {
	f.t.Helper()
	_, path := f.token()
	l = f.open(f.t.TempDir(), path)
	if err := l.Enrol(bounded(f.t)); err != nil {
		f.t.Fatal(err)
	}
	return l, f.run(l, host)
}

func (f *fleet) run(l *Link, host *fakeHost) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, host) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until waits for what the coordinator's table shows.
func (f *fleet) until(what string, ok func(*agents.Table) bool) {
	f.t.Helper()
	table, deadline := f.server.Table(), time.After(patience)
	for {
		changed := table.Changed()
		if ok(table) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("not %s within %v", what, patience)
		}
	}
}

func (f *fleet) connected(node string) func(*agents.Table) bool {
	return func(t *agents.Table) bool { yes, _, _ := t.Node(node); return yes }
}

func TestJoinAndTalk(t *testing.T) {
	f := newFleet(t)
	host := newHost()
	l, _ := f.join(host)
	node := l.Identity().Peer().NodeID
	f.until("connected", f.connected(node))
	host.desired(t, 0)
	n, ok := f.replica.Snapshot().Node(node)
	if !ok || len(n.Devices) != 1 || n.Devices[0].MemoryBytes != 1<<30 || n.Version != "test" {
		t.Errorf("the fleet knows the node as %+v", n)
	}
	f.place(node, "inst-a")
	if d := host.desired(t, 1); d.GetInstances()[0].GetInstance() != "inst-a" || d.GetInstances()[0].GetManifest().GetFiles()[0].GetSize() != 4 {
		t.Errorf("told to run %v", d)
	}
	host.tell(&wire.Telemetry{Instances: []*wire.InstanceStatus{{Instance: "inst-a", State: wire.InstanceState_INSTANCE_STATE_READY}}})
	f.until("ready", func(tb *agents.Table) bool {
		st, live := tb.Instance(node, "inst-a")
		return live && st.GetState() == wire.InstanceState_INSTANCE_STATE_READY
	})
	addrs, err := (&Link{cfg: Config{Dir: l.cfg.Dir}}).Coordinators()
	if err != nil || len(addrs) != 1 || addrs[0] != f.addr {
		t.Errorf("learnt %q, %v; want %s", addrs, err, f.addr)
	}
}

func TestStreamsReachTheHost(t *testing.T) {
	f := newFleet(t)
	host := newHost()
	cancelled := make(chan struct{})
	host.serve = func(_ context.Context, st *transport.Stream) {
		defer st.Close()
		var req wire.GenerateRequest
		if err := wire.ReadFrame(st, &req); err != nil {
			return
		}
		_ = wire.WriteFrame(st, &wire.GenerateEvent{Event: &wire.GenerateEvent_Accepted{Accepted: &wire.Accepted{Instance: req.GetInstance()}}})
		if req.GetRequestId() == "short" {
			_ = wire.WriteFrame(st, &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: &wire.Finished{}}})
			return
		}
		if _, err := io.Copy(io.Discard, st); errors.Is(err, transport.ErrCancelled) {
			close(cancelled)
		}
	}
	l, _ := f.join(host)
	node := l.Identity().Peer().NodeID
	f.until("connected", f.connected(node))
	table := f.server.Table()
	s, err := table.Generate(bounded(t), node, &wire.GenerateRequest{RequestId: "short", Instance: "inst-a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []func(*wire.GenerateEvent) bool{
		func(e *wire.GenerateEvent) bool { return e.GetAccepted().GetInstance() == "inst-a" },
		func(e *wire.GenerateEvent) bool { return e.GetFinished() != nil },
	} {
		if ev, err := s.Recv(); err != nil || !want(ev) {
			t.Fatalf("received %v, %v", ev, err)
		}
	}
	s.Close()
	s, err = table.Generate(bounded(t), node, &wire.GenerateRequest{RequestId: "long", Instance: "inst-a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	select {
	case <-cancelled:
	case <-time.After(patience):
		t.Fatal("the agent does not see that the request was cancelled")
	}
}

// TestCoordinatorRestart measures how long the agent takes to meet a coordinator that
// was away for a moment; the bound is generous for slow machines.
func TestCoordinatorRestart(t *testing.T) {
	f := newFleet(t)
	host := newHost()
	l, _ := f.join(host)
	node := l.Identity().Peer().NodeID
	f.until("connected", f.connected(node))
	host.desired(t, 0)
	for range 3 {
		f.stop()
		f.start()
		began := time.Now()
		f.until("connected again", f.connected(node))
		t.Logf("met again after %v", time.Since(began).Round(time.Millisecond))
		host.desired(t, 0)
	}
}

func TestRestartWithoutCoordinator(t *testing.T) {
	f := newFleet(t)
	host := newHost()
	l, stop := f.join(host)
	node := l.Identity().Peer().NodeID
	f.until("connected", f.connected(node))
	f.place(node, "inst-a")
	told := host.desired(t, 1)
	stop()
	f.stop()
	again := f.open(l.cfg.Dir, "")
	if err := again.Enrol(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if d := again.Desired(); len(d.GetInstances()) != 1 || d.GetRevision() != told.GetRevision() {
		t.Errorf("remembers %v, want %v", d, told)
	}
}

func TestRevokedNodeIsShutOut(t *testing.T) {
	f := newFleet(t)
	host := newHost()
	l, _ := f.join(host)
	node := l.Identity().Peer().NodeID
	f.until("connected", f.connected(node))
	host.desired(t, 0)
	f.apply(&state.RevokeNode{ID: node, NowMS: time.Now().UnixMilli()})
	f.until("shut out", func(tb *agents.Table) bool { yes, _, _ := tb.Node(node); return !yes })
	s := &session{link: l, host: host, applied: make(chan uint64, 1)}
	err := s.run(bounded(t), f.addr, dialMax)
	if !errors.Is(err, transport.ErrRefused) || s.told {
		t.Errorf("a further session: %v, told %v; want a refusal", err, s.told)
	}
	if _, err := f.server.Table().Generate(bounded(t), node, &wire.GenerateRequest{}); !errors.Is(err, agents.ErrNotConnected) {
		t.Errorf("a request to it: %v", err)
	}
}

func TestExpiredCertificateIsRenewed(t *testing.T) {
	f := newFleet(t)
	host := newHost()
	_, path := f.token()
	l := f.open(t.TempDir(), path)
	if err := l.Enrol(bounded(t)); err != nil {
		t.Fatal(err)
	}
	peer := l.Identity().Peer()
	f.sign(l.Identity(), peer, time.Now().Add(-3*pki.NodeTTL))
	if err := usable(l.Identity().Leaf(), time.Now()); !errors.Is(err, pki.ErrExpired) {
		t.Fatalf("the certificate is usable: %v", err)
	}
	f.run(l, host)
	f.until("connected", f.connected(peer.NodeID))
	if err := usable(l.Identity().Leaf(), time.Now()); err != nil {
		t.Error(err)
	}
}

func TestTokenAdmitsOnce(t *testing.T) {
	f := newFleet(t)
	_, path := f.token()
	if err := f.open(t.TempDir(), path).Enrol(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := f.open(t.TempDir(), path).Enrol(bounded(t)); !errors.Is(err, ErrRefused) {
		t.Errorf("the second use: %v, want a refusal", err)
	}
}

// TestStrangerLearnsNothing gives a token that pins another authority: the handshake
// fails, the stranger sees no connection, and the token is still good.
func TestStrangerLearnsNothing(t *testing.T) {
	ours, stranger := newFleet(t), newFleet(t)
	token, path := ours.token()
	stranger.stop()
	l, err := transport.Listen(stranger.addr, stranger.id, stranger.ca.Pool(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var seen atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		if conn, err := l.Accept(ctx); err == nil {
			seen.Store(true)
			conn.Close("test")
		}
	}()
	link := stranger.open(t.TempDir(), path)
	if err := link.Enrol(bounded(t)); !errors.Is(err, pki.ErrPin) {
		t.Errorf("joining a stranger: %v, want %v", err, pki.ErrPin)
	}
	cancel()
	<-accepted
	if seen.Load() {
		t.Error("the stranger was spoken to")
	}
	if link.Identity().Enrolled() {
		t.Error("took a stranger's certificate")
	}
	// At two addresses the token's own fleet is found, whichever comes first.
	link.cfg.Coordinators = []string{stranger.addr, ours.addr}
	if err := link.Enrol(bounded(t)); err != nil {
		t.Errorf("the token %s after a stranger was met: %v", token.ID, err)
	}
}

func TestWhatEnrolNeeds(t *testing.T) {
	f := newFleet(t)
	if err := f.open(t.TempDir(), "").Enrol(bounded(t)); !errors.Is(err, ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	if err := f.open(t.TempDir(), f.file("nf1.nonsense")).Enrol(bounded(t)); !errors.Is(err, pki.ErrBadToken) {
		t.Errorf("with a malformed token: %v", err)
	}
	_, path := f.token()
	l := f.open(t.TempDir(), path)
	l.cfg.Coordinators = nil
	if err := l.Enrol(bounded(t)); !errors.Is(err, ErrNoCoordinators) {
		t.Errorf("without an address: %v", err)
	}
	l.cfg.Coordinators = []string{f.addr}
	f.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := l.Enrol(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while nobody answers: %v, want it to wait for its context", err)
	}
}
