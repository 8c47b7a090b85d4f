package state

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const t0 = int64(1795435200000) // 2026-11-23 in milliseconds

func hexOf(c string) string { return strings.Repeat(c, 64) }

func sampleVersion(id, model string) Version {
	return Version{
		ID: id, Model: model, Project: DefaultProject, CreatedMS: t0,
		Files: []File{{
			Path: "model.gguf", Size: 10 << 20, Digest: "sha256:" + hexOf("a"),
			ChunkSize: 8 << 20, Chunks: []string{hexOf("b"), hexOf("c")},
		}},
		Info: VersionInfo{Architecture: "LlamaForCausalLM", Format: "gguf", Parameters: 135e6, Context: 2048},
	}
}

func sampleNode(id string) Node {
	return Node{
		ID: id, Hostname: "host-" + id, Role: "agent", KeyHash: hexOf("d"), JoinedMS: t0,
		Devices: []Device{{ID: "cpu", Kind: "cpu", Name: "CPU", MemoryBytes: 100, Cores: 2}, {ID: "gpu0", Kind: "cuda", MemoryBytes: 50}},
	}
}

func sampleKey(id, hashDigit string) Key {
	return Key{ID: id, Project: DefaultProject, Name: "me", Role: RoleUser, Hash: hexOf(hashDigit), Hint: "sk-nf-..", CreatedMS: t0}
}

func sampleToken(id string) JoinToken {
	return JoinToken{ID: id, Hash: hexOf("e"), Role: "agent", CreatedMS: t0, ExpiresMS: t0 + 3600_000}
}

func sampleDeployment(name, version string) Deployment {
	return Deployment{Name: name, Project: DefaultProject, Model: "smol", Version: version, Replicas: 1, CreatedMS: t0, UpdatedMS: t0}
}

func sampleInstance(id string, bytes uint64) Instance {
	return Instance{
		ID: id, Project: DefaultProject, Deployment: "chat", Model: "smol", Version: "v1",
		Node: "n1", Device: "cpu", Footprint: Footprint{Weights: bytes}, CreatedMS: t0,
	}
}

func setInstances(add []Instance, remove ...string) *SetInstances {
	return &SetInstances{Project: DefaultProject, Deployment: "chat", Add: add, Remove: remove}
}

// world applies commands to a store and fails the test on a broken invariant.
type world struct {
	t     *testing.T
	store *Store
	index uint64
}

// newWorld has model smol (v1, v2), node n1, deployment chat of v1 with instance i1 of
// 60 bytes on its cpu, a key k1 and a token t1.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: New()}
	w.must(
		&AddModelVersion{sampleVersion("v1", "smol")}, &AddModelVersion{sampleVersion("v2", "smol")},
		&PutNode{sampleNode("n1")}, &PutDeployment{sampleDeployment("chat", "v1")},
		setInstances([]Instance{sampleInstance("i1", 60)}),
		&CreateKey{sampleKey("k1", "1")}, &CreateJoinToken{sampleToken("t1")},
	)
	return w
}

// apply sends a command through its encoding, as raft does.
func (w *world) apply(cmd Command) error {
	w.t.Helper()
	b, err := Encode(cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.index++
	err = w.store.Apply(w.index, got)
	for _, broken := range w.store.Check() {
		w.t.Errorf("after %T: %v", cmd, broken)
	}
	return err
}

func (w *world) must(cmds ...Command) {
	w.t.Helper()
	for _, c := range cmds {
		if err := w.apply(c); err != nil {
			w.t.Fatalf("%T: %v", c, err)
		}
	}
}

// refused wants a reason, words of the message, and that nothing changed.
func (w *world) refused(cmd Command, reason error, words ...string) {
	w.t.Helper()
	before := tables(w.t, w.store)
	err := w.apply(cmd)
	var typed *Error
	if !errors.Is(err, reason) || !errors.As(err, &typed) {
		w.t.Errorf("%T: %v, want %v", cmd, err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("%T: %q does not name %q", cmd, err, word)
		}
	}
	if after := tables(w.t, w.store); after != before {
		w.t.Errorf("%T was refused and yet changed the state", cmd)
	}
}

// tables are the persisted bytes without index and checksum.
func tables(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	if err := s.Persist(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()[20 : b.Len()-32]
}

func TestNewStore(t *testing.T) {
	s := New()
	if got := s.Snapshot().Projects(); len(got) != 1 || got[0].ID != DefaultProject {
		t.Errorf("projects of a new store: %v", got)
	}
	if broken := s.Check(); broken != nil {
		t.Errorf("a new store is broken: %v", broken)
	}
	snap := s.Snapshot()
	for name, list := range map[string]any{
		"keys": snap.Keys(""), "models": snap.Models(DefaultProject), "routes": snap.Routes(""), "nodes": snap.Nodes(),
	} {
		if !reflect.ValueOf(list).IsNil() {
			t.Errorf("%s of a new store: %v, want nil", name, list)
		}
	}
}

func TestSnapshotDoesNotMove(t *testing.T) {
	w := newWorld(t)
	snap := w.store.Snapshot()
	index := snap.Index()
	select {
	case <-snap.Watch():
		t.Fatal("a present snapshot says that it is old")
	default:
	}
	w.must(&RemoveDeployment{DefaultProject, "chat"}, &RemoveModel{DefaultProject, "smol"})
	<-snap.Watch()
	if snap.Index() != index || len(snap.Models("")) != 1 || len(snap.Instances()) != 1 {
		t.Error("a snapshot changed with the store")
	}
	if now := w.store.Snapshot(); now.Index() != w.index || len(now.Models("")) != 0 {
		t.Errorf("store at %d with %v", now.Index(), now.Models(""))
	}
}

func TestWatchFiresOnce(t *testing.T) {
	w := newWorld(t)
	first := w.store.Watch()
	w.refused(&RemoveModel{DefaultProject, "none"}, ErrNotFound)
	<-first // the index has moved
	second := w.store.Watch()
	select {
	case <-second:
		t.Error("a new watch fired at once")
	default:
	}
}

func TestReads(t *testing.T) {
	w := newWorld(t)
	w.must(&PutProject{Project{ID: "other", Name: "Other", CreatedMS: t0}})
	snap := w.store.Snapshot()
	for name, ok := range map[string]bool{
		"Project":    has(snap.Project("other")),
		"Key":        has(snap.Key("k1")),
		"KeyByHash":  has(snap.KeyByHash(hexOf("1"))),
		"JoinToken":  has(snap.JoinToken("t1")),
		"Node":       has(snap.Node("n1")),
		"Model":      has(snap.Model(DefaultProject, "smol")),
		"Version":    has(snap.Version("v1")),
		"Deployment": has(snap.Deployment(DefaultProject, "chat")),
		"Instance":   has(snap.Instance("i1")),
		"Route":      has(snap.Route(DefaultProject, "chat")),
		"no Key":     !has(snap.Key("k2")),
		"no Model":   !has(snap.Model("other", "smol")),
		"no Route":   !has(snap.Route("other", "chat")),
	} {
		if !ok {
			t.Errorf("%s: wrong answer", name)
		}
	}
	for name, n := range map[string][2]int{
		"Projects":    {len(snap.Projects()), 2},
		"Keys":        {len(snap.Keys(DefaultProject)), 1},
		"other Keys":  {len(snap.Keys("other")), 0},
		"JoinTokens":  {len(snap.JoinTokens()), 1},
		"Versions":    {len(snap.Versions(DefaultProject, "smol")), 2},
		"Deployments": {len(snap.Deployments("")), 1},
		"InstancesOf": {len(snap.InstancesOf(DefaultProject, "chat")), 1},
		"InstancesOn": {len(snap.InstancesOn("n1")), 1},
		"elsewhere":   {len(snap.InstancesOn("n2")), 0},
		"Routes":      {len(snap.Routes(DefaultProject)), 1},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d, want %d", name, n[0], n[1])
		}
	}
}

func has[T any](_ T, ok bool) bool { return ok }

func TestErrorSentences(t *testing.T) {
	for want, err := range map[string]error{
		`model "x": not found`:                         notFound("model", "x"),
		`key "k": exists already`:                      exists("key", "k"),
		`node "n": conflict: 2 left`:                   conflict("node", "n", "%d left", 2),
		`route "r": targets: invalid: 0, want 1 to 64`: invalid("route", "r", "targets", "0, want 1 to 64"),
		`join token "t": denied: used`:                 denied("t", "used"),
		`command: size: invalid: 9 bytes, at most 8`:   invalid("command", "", "size", "9 bytes, at most 8"),
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestLists(t *testing.T) {
	w := newWorld(t)
	for i := 9; i > 0; i-- {
		w.must(&CreateKey{sampleKey(fmt.Sprintf("key-%d", i), fmt.Sprint(i % 10)[:1])}) // hash 1 is taken by k1
		if i == 2 {
			break
		}
	}
	var ids []string
	for _, k := range w.store.Snapshot().Keys(DefaultProject) {
		ids = append(ids, k.ID)
	}
	if want := "k1 key-2 key-3 key-4 key-5 key-6 key-7 key-8 key-9"; strings.Join(ids, " ") != want {
		t.Errorf("keys in order %v, want %s", ids, want)
	}
}
