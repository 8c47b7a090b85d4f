package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
)

// list is a state machine: the words it was given, in order.
type list struct {
	mu       sync.Mutex
	words    []string
	restored int // words of the last snapshot
}

func (l *list) Apply(e *raft.Log) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words = append(l.words, string(e.Data))
	return len(l.words)
}

func (l *list) Snapshot() (raft.FSMSnapshot, error) { return saved(l.all()), nil }

func (l *list) Restore(r io.ReadCloser) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words = nil
	err := json.NewDecoder(r).Decode(&l.words)
	l.restored = len(l.words)
	return errors.Join(err, r.Close())
}

func (l *list) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.words...)
}

type saved []string

func (s saved) Persist(sink raft.SnapshotSink) error {
	return errors.Join(json.NewEncoder(sink).Encode([]string(s)), sink.Close())
}
func (s saved) Release() {}

// node is one coordinator: a fleet port, a hub and the groups on it.
type node struct {
	t    *testing.T
	name string
	dir  string
	id   *pki.Identity
	ca   *pki.CA
	addr string

	fleet  *transport.Listener
	hub    *Hub
	cancel context.CancelFunc
	group  *Group
	fsm    *list
}

func authority(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newNode(t *testing.T, ca *pki.CA, name string) *node {
	t.Helper()
	id, err := pki.OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := id.CSR(name)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ca.Sign(csr, pki.Peer{Role: pki.RoleCoordinator, NodeID: name}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Install(chain); err != nil {
		t.Fatal(err)
	}
	return &node{t: t, name: name, dir: t.TempDir(), id: id, ca: ca, addr: "127.0.0.1:0"}
}

// start opens the port and the group; a node that was stopped takes its port again.
func (n *node) start(bootstrap bool) *node {
	n.t.Helper()
	var err error
	if n.fleet, err = transport.Listen(n.addr, n.id, n.ca.Pool(), transport.Options{}); err != nil {
		n.t.Fatal(err)
	}
	n.addr = n.fleet.Addr().String()
	n.hub = NewHub(n.fleet, n.id, n.ca.Pool())
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go n.accept(ctx, n.fleet, n.hub)
	n.fsm = &list{}
	n.group, err = Open(Config{
		Dir: filepath.Join(n.dir, "raft"), NodeID: n.name, Group: "control", Bootstrap: bootstrap,
		Layer: n.hub.Layer("control"), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, n.fsm)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(n.stop)
	return n
}

func (n *node) accept(ctx context.Context, fleet *transport.Listener, hub *Hub) {
	for {
		conn, err := fleet.Accept(ctx)
		if err != nil {
			return
		}
		go hub.Serve(ctx, conn)
	}
}

// stop ends the node; a second stop does nothing.
func (n *node) stop() {
	if n.group == nil {
		return
	}
	n.cancel()
	err := n.group.Close()
	n.hub.Close()
	if err = errors.Join(err, n.fleet.Close()); err != nil {
		n.t.Errorf("%s: %v", n.name, err)
	}
	n.group = nil
}

func (n *node) apply(word string) {
	n.t.Helper()
	if _, err := n.group.Apply(bounded(n.t), []byte(word)); err != nil {
		n.t.Fatalf("apply %q: %v", word, err)
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until waits for what must come in the end.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx := bounded(t)
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within 20 s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (n *node) leads() *node {
	n.t.Helper()
	until(n.t, n.name+" leads", n.group.IsLeader)
	return n
}

func (n *node) has(want []string) {
	n.t.Helper()
	until(n.t, fmt.Sprintf("%s has %d words", n.name, len(want)), func() bool {
		return fmt.Sprint(n.fsm.all()) == fmt.Sprint(want)
	})
}

// A group of one leads at once, answers with the machine's verdict, and has everything
// after a restart, also at another port.
func TestOneVoterAppliesAndRestarts(t *testing.T) {
	n := newNode(t, authority(t), "c1").start(true)
	began := time.Now()
	n.leads()
	t.Logf("a single voter leads after %v", time.Since(began))
	var want []string
	for i := range 20 {
		word := fmt.Sprint("word ", i)
		got, err := n.group.Apply(bounded(t), []byte(word))
		if err != nil || got != i+1 {
			t.Fatalf("verdict %v, %v; want %d", got, err, i+1)
		}
		want = append(want, word)
	}
	n.stop()
	n.addr = "127.0.0.1:0"
	n.start(true).leads()
	if err := n.group.Barrier(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got := n.fsm.all(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("after a restart %q, want %q", got, want)
	}
	if id, _ := n.group.Leader(); id != "c1" {
		t.Errorf("leader is %q", id)
	}
}

// A snapshot is restored at the start, with what came after it from the log; two are kept.
func TestSnapshotIsRestored(t *testing.T) {
	n := newNode(t, authority(t), "c1").start(true).leads()
	var want []string
	for i := range 4 {
		want = append(want, fmt.Sprint("word ", i))
		n.apply(want[i])
		if err := n.group.Snapshot(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, "after")
	n.apply("after")
	n.stop()
	if kept, err := os.ReadDir(filepath.Join(n.dir, "raft", "snapshots")); err != nil || len(kept) != snapshotsRetained {
		t.Errorf("%d snapshots, %v; want %d", len(kept), err, snapshotsRetained)
	}
	n.start(true).leads()
	if err := n.group.Barrier(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got := n.fsm.all(); fmt.Sprint(got) != fmt.Sprint(want) || n.fsm.restored != 4 {
		t.Fatalf("%q, %d of them from the snapshot; want %q and 4", got, n.fsm.restored, want)
	}
}

func TestCutFileIsRefused(t *testing.T) {
	ca := authority(t)
	n := newNode(t, ca, "c1").start(true).leads()
	n.apply("word")
	n.stop()
	path := filepath.Join(n.dir, "raft", "raft.db")
	if err := os.Truncate(path, 9000); err != nil {
		t.Fatal(err)
	}
	fleet, err := transport.Listen("127.0.0.1:0", n.id, ca.Pool(), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	g, err := Open(Config{
		Dir: filepath.Join(n.dir, "raft"), NodeID: "c1", Group: "control",
		Layer: NewHub(fleet, n.id, ca.Pool()).Layer("control"), Log: slog.New(slog.DiscardHandler),
	}, &list{})
	if err == nil {
		t.Fatal(errors.Join(errors.New("a cut file was opened"), g.Close()))
	}
}

// three makes a group of three with the first as leader.
func three(t *testing.T) []*node {
	t.Helper()
	ca := authority(t)
	nodes := []*node{newNode(t, ca, "c1").start(true).leads()}
	for _, name := range []string{"c2", "c3"} {
		n := newNode(t, ca, name).start(false)
		if err := nodes[0].group.AddVoter(bounded(t), name, n.addr); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func TestThreeVotersAgree(t *testing.T) {
	nodes := three(t)
	want := []string{"a", "b", "c"}
	for _, w := range want {
		nodes[0].apply(w)
	}
	for _, n := range nodes {
		n.has(want)
	}
	if _, err := nodes[1].group.Apply(bounded(t), []byte("x")); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower's Apply says %v, want ErrNotLeader", err)
	}
	until(t, "followers know the leader", func() bool {
		id, addr := nodes[2].group.Leader()
		return id == "c1" && addr == nodes[0].addr
	})
	members, err := nodes[0].group.Members()
	if err != nil || len(members) != 3 {
		t.Errorf("members %v, %v", members, err)
	}
}

// The leader dies: another takes over, and the dead one catches up when it is back on
// its port.
func TestLeaderDiesAndComesBack(t *testing.T) {
	nodes := three(t)
	nodes[0].apply("before")
	nodes[0].stop()
	var next *node
	until(t, "another leads", func() bool {
		for _, n := range nodes[1:] {
			if n.group.IsLeader() {
				next = n
			}
		}
		return next != nil
	})
	next.apply("during")
	nodes[0].start(false)
	nodes[0].has([]string{"before", "during"})
}

// A removed member no longer counts: one of two is enough once it is the only one.
func TestRemove(t *testing.T) {
	nodes := three(t)
	for _, n := range nodes[1:] {
		if err := nodes[0].group.Remove(bounded(t), n.name); err != nil {
			t.Fatal(err)
		}
		n.stop()
	}
	nodes[0].apply("alone")
}

// Without a quorum an entry's outcome stays open, and the caller is told so.
func TestNoQuorum(t *testing.T) {
	nodes := three(t)
	nodes[1].stop()
	nodes[2].stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := nodes[0].group.Apply(ctx, []byte("x")); !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotLeader) {
		t.Fatalf("%v, want ErrUnknown or ErrNotLeader", err)
	}
	group := nodes[0].group
	nodes[0].stop()
	if _, err := group.Apply(bounded(t), []byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

// Two groups share a port; each has its own entries.
func TestTwoGroupsOnOnePort(t *testing.T) {
	n := newNode(t, authority(t), "c1").start(true).leads()
	other := &list{}
	g, err := Open(Config{
		Dir: filepath.Join(n.dir, "content"), NodeID: n.name, Group: "content", Bootstrap: true,
		Layer: n.hub.Layer("content"), Log: slog.New(slog.DiscardHandler),
	}, other)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	until(t, "the second group leads", g.IsLeader)
	n.apply("control")
	if _, err := g.Apply(bounded(t), []byte("content")); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(n.fsm.all(), other.all()) != "[control] [content]" {
		t.Errorf("%v and %v", n.fsm.all(), other.all())
	}
}
