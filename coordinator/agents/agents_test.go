package agents

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// replica is replicated state without the replication.
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

// fleet is a coordinator's end on a real port.
type fleet struct {
	t       *testing.T
	ca      *pki.CA
	replica *replica
	server  *Server
	addr    string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, ca: ca, replica: &replica{store: state.New()}}
	id := identity(t)
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
	next := 0
	f.server = NewServer(Config{
		Replica: f.replica, CA: ca, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		NewID:        func() string { next++; return fmt.Sprint(next) },
		Coordinators: func() []string { return []string{f.addr} },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func identity(t *testing.T) *pki.Identity {
	t.Helper()
	id, err := pki.OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (f *fleet) apply(cmd state.Command) {
	f.t.Helper()
	if err := f.replica.Apply(context.Background(), cmd); err != nil {
		f.t.Fatalf("%T: %v", cmd, err)
	}
}

// token makes a join token that ends in that long.
func (f *fleet) token(in time.Duration) pki.Token {
	f.t.Helper()
	tok, err := pki.NewToken(f.ca.Hash(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now()
	f.apply(&state.CreateJoinToken{Token: state.JoinToken{
		ID: tok.ID, Hash: tok.SecretHash(), Role: string(pki.RoleAgent),
		CreatedMS: now.Add(-time.Hour).UnixMilli(), ExpiresMS: now.Add(in).UnixMilli(),
	}})
	return tok
}

func (f *fleet) dial(id *pki.Identity) *transport.Conn {
	f.t.Helper()
	conn, err := transport.Dial(bounded(f.t), f.addr, id, transport.TrustHash(f.ca.Hash()))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close("test over") })
	return conn
}

func (f *fleet) open(conn *transport.Conn, kind wire.StreamKind) *transport.Stream {
	f.t.Helper()
	st, err := conn.OpenStream(bounded(f.t), &wire.StreamHeader{Capability: wire.Capability, Kind: kind})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := st.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		f.t.Fatal(err)
	}
	return st
}

// enrol spends a token for an identity.
func (f *fleet) enrol(id *pki.Identity, tok pki.Token) *wire.EnrolResponse {
	f.t.Helper()
	csr, err := id.CSR("host")
	if err != nil {
		f.t.Fatal(err)
	}
	st := f.open(f.dial(nil), wire.StreamKind_STREAM_KIND_ENROL)
	return f.exchange(st, &wire.EnrolRequest{TokenId: tok.ID, TokenSecret: tok.Secret, Csr: csr, Hostname: "host"})
}

func (f *fleet) exchange(st *transport.Stream, req proto.Message) *wire.EnrolResponse {
	f.t.Helper()
	if err := wire.WriteFrame(st, req); err != nil {
		f.t.Fatal(err)
	}
	var resp wire.EnrolResponse
	if err := wire.ReadFrame(st, &resp); err != nil {
		f.t.Fatal(err)
	}
	return &resp
}

// join gives an identity that is a member.
func (f *fleet) join() *pki.Identity {
	f.t.Helper()
	id := identity(f.t)
	got := f.enrol(id, f.token(time.Hour)).GetEnrolled()
	if got == nil {
		f.t.Fatal("a good token was refused")
	}
	if err := id.Install(got.GetChain()); err != nil {
		f.t.Fatal(err)
	}
	return id
}

// session says hello and gives the stream.
func (f *fleet) session(conn *transport.Conn, node string) *transport.Stream {
	f.t.Helper()
	st := f.open(conn, wire.StreamKind_STREAM_KIND_SESSION)
	f.say(st, &wire.AgentUp{Up: &wire.AgentUp_Hello{Hello: &wire.AgentHello{
		NodeId: node, Hostname: "host", Version: "1", Devices: []*wire.Device{{Id: "cpu", Kind: "cpu", MemoryTotal: 1 << 30, Cores: 2}},
	}}})
	return st
}

func (f *fleet) say(st *transport.Stream, up *wire.AgentUp) {
	f.t.Helper()
	if err := wire.WriteFrame(st, up); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) desired(st *transport.Stream) *wire.Desired {
	f.t.Helper()
	var down wire.AgentDown
	if err := wire.ReadFrame(st, &down); err != nil {
		f.t.Fatal(err)
	}
	return down.GetDesired()
}

// until waits for what must come in the end.
func (f *fleet) until(what string, is func() bool) {
	f.t.Helper()
	ctx := bounded(f.t)
	for !is() {
		changed := f.server.Table().Changed()
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			f.t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func TestEnrol(t *testing.T) {
	f := newFleet(t)
	tok := f.token(time.Hour)
	id := identity(t)
	got := f.enrol(id, tok).GetEnrolled()
	if got.GetNodeId() != "node-1" || len(got.GetCoordinators()) != 1 || got.GetCoordinators()[0] != f.addr {
		t.Fatalf("enrolled %v", got)
	}
	if err := id.Install(got.GetChain()); err != nil {
		t.Fatal(err)
	}
	if p := id.Peer(); p.Role != pki.RoleAgent || p.NodeID != "node-1" {
		t.Errorf("certificate says %v", p)
	}
	wrong := f.token(time.Hour)
	wrong.Secret = tok.Secret
	for name, bad := range map[string]pki.Token{
		"used twice": tok, "wrong secret": wrong, "past its end": f.token(-time.Minute), "unknown": {ID: "nothing", Secret: "none"},
	} {
		if resp := f.enrol(identity(t), bad); resp.GetError().GetCode() != wire.ErrorCode_ERROR_CODE_DENIED {
			t.Errorf("%s: %v, want denied", name, resp)
		}
	}
	if n := len(f.replica.Snapshot().Nodes()); n != 1 {
		t.Errorf("%d nodes are registered, want 1", n)
	}
}

// A member renews for its key, for no other, and not once it was revoked.
func TestRenew(t *testing.T) {
	f := newFleet(t)
	id := f.join()
	conn := f.dial(id)
	renew := func(of *pki.Identity) *wire.EnrolResponse {
		csr, err := of.CSR("host")
		if err != nil {
			t.Fatal(err)
		}
		return f.exchange(f.open(conn, wire.StreamKind_STREAM_KIND_RENEW), &wire.RenewRequest{Csr: csr})
	}
	if got := renew(id).GetEnrolled(); got.GetNodeId() != "node-1" || id.Install(got.GetChain()) != nil {
		t.Errorf("renewed %v", got)
	}
	if got := renew(identity(t)); got.GetError() == nil {
		t.Error("another key was certified")
	}
	f.apply(&state.RevokeNode{ID: "node-1", NowMS: time.Now().UnixMilli()})
	if got := renew(id); got.GetError() == nil {
		t.Error("a revoked node was certified")
	}
	if f.server.Admit(id.Peer()) == nil {
		t.Error("a revoked node is admitted")
	}
}

// A session registers the host, tells what to run, takes reports, and ends when the
// node is revoked.
func TestSession(t *testing.T) {
	f := newFleet(t)
	id := f.join()
	conn := f.dial(id)
	st := f.session(conn, "node-1")
	if d := f.desired(st); len(d.GetInstances()) != 0 {
		t.Errorf("a new node shall run %v", d)
	}
	n, _ := f.replica.Snapshot().Node("node-1")
	if n.Hostname != "host" || len(n.Devices) != 1 || n.Devices[0].MemoryBytes != 1<<30 {
		t.Errorf("registered %+v", n)
	}
	f.deploy("inst-1")
	d := f.desired(st)
	if got := d.GetInstances(); len(got) != 1 || got[0].GetInstance() != "inst-1" || got[0].GetManifest().GetFiles()[0].GetSize() != 3 {
		t.Fatalf("it shall run %v", d)
	}
	f.say(st, ready("inst-1"))
	f.until("the report arrives", func() bool { _, live := f.server.Table().Instance("node-1", "inst-1"); return live })
	if up, _, _ := f.server.Table().Node("node-1"); !up || !f.server.Table().Usable("node-1") {
		t.Error("the node is not connected and usable")
	}
	f.apply(&state.RevokeNode{ID: "node-1", NowMS: time.Now().UnixMilli()})
	if _, err := st.Read(make([]byte, 1)); err == nil {
		t.Error("the session of a revoked node goes on")
	}
	f.until("it is gone", func() bool { up, _, _ := f.server.Table().Node("node-1"); return !up })
	if st, live := f.server.Table().Instance("node-1", "inst-1"); live || st == nil {
		t.Errorf("its instance is %v, live %v; want the last word, not live", st, live)
	}
}

// A hello of another's name, or none, ends the session.
func TestBadHello(t *testing.T) {
	f := newFleet(t)
	conn := f.dial(f.join())
	for name, st := range map[string]*transport.Stream{
		"another name": f.session(conn, "node-9"),
		"a report first": func() *transport.Stream {
			st := f.open(conn, wire.StreamKind_STREAM_KIND_SESSION)
			f.say(st, ready("inst-1"))
			return st
		}(),
	} {
		if _, err := st.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ready(instance string) *wire.AgentUp {
	return &wire.AgentUp{Up: &wire.AgentUp_Telemetry{Telemetry: &wire.Telemetry{Instances: []*wire.InstanceStatus{
		{Instance: instance, State: wire.InstanceState_INSTANCE_STATE_READY},
	}}}}
}

// deploy places an instance of a model of three bytes on node-1.
func (f *fleet) deploy(instance string) {
	f.t.Helper()
	digest := "sha256:" + fmt.Sprintf("%064x", 1)
	f.apply(&state.AddModelVersion{Version: state.Version{
		ID: "v1", Model: "tiny", Project: state.DefaultProject, CreatedMS: 1,
		Files: []state.File{{Path: "a.gguf", Size: 3, Digest: digest, ChunkSize: 4096, Chunks: []string{digest[7:]}}},
		Info:  state.VersionInfo{Architecture: "LlamaForCausalLM", Format: "gguf", Parameters: 1, Context: 512},
	}})
	f.apply(&state.PutDeployment{Deployment: state.Deployment{
		Name: "chat", Project: state.DefaultProject, Model: "tiny", Version: "v1", Replicas: 1, CreatedMS: 1, UpdatedMS: 1,
	}})
	f.apply(&state.SetInstances{Project: state.DefaultProject, Deployment: "chat", Add: []state.Instance{{
		ID: instance, Project: state.DefaultProject, Deployment: "chat", Model: "tiny", Version: "v1", Node: "node-1", Device: "cpu", CreatedMS: 1,
		Options: state.EngineOptions{Backend: "ref", Context: 512, MaxRunning: 2, StepTokens: 128},
	}}})
}

// serveOne answers the next request stream of a connection.
func (f *fleet) serveOne(conn *transport.Conn, answer func(*transport.Stream, *wire.GenerateRequest)) {
	st, head, err := conn.AcceptStream(bounded(f.t))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer st.Close()
	var req wire.GenerateRequest
	if err := wire.ReadFrame(st, &req); err != nil || head.GetRequestId() != req.GetRequestId() {
		f.t.Errorf("header %v, request %v, %v", head, &req, err)
		return
	}
	answer(st, &req)
}

func TestGenerate(t *testing.T) {
	f := newFleet(t)
	table := f.server.Table()
	req := &wire.GenerateRequest{RequestId: "r1", Project: "default", Instance: "inst-1", Prompt: []int32{1, 2}}
	if _, err := table.Generate(bounded(t), "node-1", req); !errors.Is(err, ErrNotConnected) {
		t.Errorf("before it is connected: %v", err)
	}
	conn := f.dial(f.join())
	f.session(conn, "node-1")
	f.until("it is connected", func() bool { up, _, _ := table.Node("node-1"); return up })
	finished := &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: &wire.Finished{GeneratedTokens: 1}}}
	for _, c := range []struct {
		name   string
		events []*wire.GenerateEvent
		end    error
	}{
		{"to its end", []*wire.GenerateEvent{finished}, io.EOF},
		{"an error", []*wire.GenerateEvent{{Event: &wire.GenerateEvent_Error{Error: &wire.Error{}}}}, io.EOF},
		{"cut off", nil, io.ErrUnexpectedEOF},
	} {
		go f.serveOne(conn, func(st *transport.Stream, _ *wire.GenerateRequest) {
			for _, ev := range c.events {
				if err := wire.WriteFrame(st, ev); err != nil {
					t.Error(err)
				}
			}
		})
		s, err := table.Generate(bounded(t), "node-1", req)
		if err != nil {
			t.Fatal(err)
		}
		if n := table.InFlight("node-1", "inst-1"); n != 1 {
			t.Errorf("%s: %d requests in flight, want 1", c.name, n)
		}
		for range c.events {
			if _, err := s.Recv(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if _, err := s.Recv(); !errors.Is(err, c.end) {
			t.Errorf("%s: ends with %v, want %v", c.name, err, c.end)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", c.name, err)
		}
		if n := table.InFlight("node-1", "inst-1"); n != 0 {
			t.Errorf("%s: %d requests in flight after Close", c.name, n)
		}
	}
}

// An agent that was killed and is back has a new session while the old one still
// seems alive: requests on the old one end at once, so that they can be resumed.
func TestNewSessionEndsTheOld(t *testing.T) {
	f := newFleet(t)
	id := f.join()
	old := f.dial(id)
	f.session(old, "node-1")
	f.until("it is connected", func() bool { up, _, _ := f.server.Table().Node("node-1"); return up })
	s, err := f.server.Table().Generate(bounded(t), "node-1", &wire.GenerateRequest{RequestId: "r1", Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	f.session(f.dial(id), "node-1")
	if _, err := s.Recv(); err == nil || errors.Is(err, transport.ErrCancelled) {
		t.Errorf("the request ends with %v, want a lost connection", err)
	}
	_ = s.Close()
	<-old.Done()
	if up, _, _ := f.server.Table().Node("node-1"); !up {
		t.Error("the end of the old session disconnected the new one")
	}
}

// The end of the context ends Recv here and is seen by the agent.
func TestGenerateIsCancelled(t *testing.T) {
	f := newFleet(t)
	conn := f.dial(f.join())
	f.session(conn, "node-1")
	f.until("it is connected", func() bool { up, _, _ := f.server.Table().Node("node-1"); return up })
	asked, seen := make(chan bool), make(chan error, 1)
	go f.serveOne(conn, func(st *transport.Stream, _ *wire.GenerateRequest) {
		close(asked)
		_, err := st.Read(make([]byte, 1))
		seen <- err
	})
	ctx, cancel := context.WithCancel(bounded(t))
	s, err := f.server.Table().Generate(ctx, "node-1", &wire.GenerateRequest{RequestId: "r1", Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-asked; cancel() }()
	if _, err := s.Recv(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Recv says %v", err)
	}
	_ = s.Close()
	if err := <-seen; !errors.Is(err, transport.ErrCancelled) {
		t.Errorf("the agent sees %v, want ErrCancelled", err)
	}
}
