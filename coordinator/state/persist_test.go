package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func persisted(t testing.TB, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Persist(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPersistAndRestore(t *testing.T) {
	w := newWorld(t)
	want := persisted(t, w.store)
	other := New()
	watch := other.Watch()
	if err := other.Restore(bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	<-watch
	if got := persisted(t, other); !bytes.Equal(got, want) {
		t.Error("what was restored persists to other bytes")
	}
	if i, ok := other.Snapshot().Instance("i1"); !ok || i.Footprint.Total() != 60 || other.Snapshot().Index() != w.index {
		t.Errorf("restored instance %+v at index %d", i, other.Snapshot().Index())
	}
	if k, ok := other.Snapshot().KeyByHash(hexOf("1")); !ok || k.ID != "k1" {
		t.Error("restored keys cannot be found by hash")
	}
}

// Every damaged byte and every length is noticed, and the store stays as it was.
func TestRestoreNoticesDamage(t *testing.T) {
	w := newWorld(t)
	good := persisted(t, w.store)
	target := New()
	before := persisted(t, target)
	try := func(what string, i int, b []byte) {
		t.Helper()
		if err := target.Restore(bytes.NewReader(b)); !errors.Is(err, ErrBadSnapshot) {
			t.Fatalf("%s %d of %d: %v, want ErrBadSnapshot", what, i, len(good), err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		try("byte flipped at", i, bad)
		try("cut off at", i, good[:i])
	}
	try("bytes after", len(good), append(bytes.Clone(good), 0))
	if !bytes.Equal(persisted(t, target), before) {
		t.Error("a refused snapshot changed the store")
	}
}

// seal gives a snapshot's body the checksum it asks for.
func seal(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func snapshotOf(index byte, rows ...string) []byte {
	b := []byte(snapshotMagic + "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00" + string(index))
	for _, r := range rows {
		b = append(b, r[0], 0, 0, byte((len(r)-1)>>8), byte(len(r)-1))
		b = append(b, r[1:]...)
	}
	return seal(append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(rows))))
}

// The bytes of old snapshots: this test may gain cases and lose none.
func TestSnapshotBytesStay(t *testing.T) {
	if got, want := persisted(t, New()), snapshotOf(0, "\x01"+`{"id":"default","name":"default","created_ms":0}`); !bytes.Equal(got, want) {
		t.Errorf("a new store is\n%q, want\n%q", got, want)
	}
}

func TestRestoreRefusesBrokenInvariants(t *testing.T) {
	project := "\x01" + `{"id":"default"}`
	for name, b := range map[string][]byte{
		"no default project": snapshotOf(1),
		"unknown table":      snapshotOf(1, project, "\x0a{}"),
		"unknown field":      snapshotOf(1, project, "\x01"+`{"id":"p","more":1}`),
		"null row":           snapshotOf(1, project, "\x01null"),
		"orphan key":         snapshotOf(1, project, "\x02"+`{"id":"k","project":"p","role":"user","hash":"`+hexOf("1")+`"}`),
		"orphan model":       snapshotOf(1, project, "\x05"+`{"name":"m","project":"default"}`),
		"orphan version":     snapshotOf(1, project, "\x06"+`{"id":"v","model":"m","project":"default"}`),
		"orphan deployment":  snapshotOf(1, project, "\x07"+`{"name":"d","project":"default","model":"m","version":"v"}`),
		"orphan instance":    snapshotOf(1, project, "\x08"+`{"id":"i","project":"default","deployment":"d","model":"m","version":"v","node":"n","device":"cpu"}`),
		"orphan route":       snapshotOf(1, project, "\x09"+`{"name":"r","project":"default","targets":[{"deployment":"d","weight":1}]}`),
		"bad token":          snapshotOf(1, project, "\x03"+`{"id":"t"}`),
		"bad node":           snapshotOf(1, project, "\x04"+`{"id":"n"}`),
		"one secret twice": snapshotOf(1, project, "\x02"+`{"id":"a","project":"default","role":"user","hash":"`+hexOf("1")+`"}`,
			"\x02"+`{"id":"b","project":"default","role":"user","hash":"`+hexOf("1")+`"}`),
		"wrong count": seal(append(snapshotOf(1, project)[:20+5+len(project)-1], 0, 0, 0, 0, 0, 0, 0, 0, 9)),
	} {
		if err := New().Restore(bytes.NewReader(b)); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("%s: %v, want ErrBadSnapshot", name, err)
		}
	}
	if err := New().Restore(bytes.NewReader(snapshotOf(1, project))); err != nil {
		t.Errorf("the least snapshot: %v", err)
	}
}

// Any body with a right checksum is refused or gives a state without broken
// invariants that persists and comes back.
func FuzzRestore(f *testing.F) {
	w := &world{t: &testing.T{}, store: New()}
	for i, cmd := range sampleCommands() {
		_ = w.store.Apply(uint64(i), cmd) // some are refused; the rest make a seed
		b := persisted(f, w.store)
		f.Add(b[:len(b)-sha256.Size])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := New()
		if err := s.Restore(bytes.NewReader(seal(body))); err != nil {
			if !errors.Is(err, ErrBadSnapshot) {
				t.Fatalf("%v is not ErrBadSnapshot", err)
			}
			return
		}
		if broken := s.Check(); broken != nil {
			t.Fatal(broken)
		}
		once := persisted(t, s)
		if err := s.Restore(bytes.NewReader(once)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(persisted(t, s), once) {
			t.Fatal("persists to other bytes after a restore")
		}
	})
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// sink is raft's, kept in memory.
type sink struct {
	io.Writer
	closed, cancelled bool
}

func (s *sink) ID() string    { return "test" }
func (s *sink) Close() error  { s.closed = true; return nil }
func (s *sink) Cancel() error { s.cancelled = true; return nil }

func TestFSM(t *testing.T) {
	w := newWorld(t)
	fsm := NewFSM(w.store)
	good, err := Encode(&RemoveNode{"n1"})
	if err != nil {
		t.Fatal(err)
	}
	verdicts := fsm.ApplyBatch([]*raft.Log{
		{Index: 50, Type: raft.LogCommand, Data: good},
		{Index: 51, Type: raft.LogConfiguration, Data: []byte("raft's own")},
		{Index: 52, Type: raft.LogCommand, Data: good},
	})
	if len(verdicts) != 3 || verdicts[0] != nil || verdicts[1] != nil {
		t.Errorf("verdicts %v, want nil, nil, not found", verdicts)
	}
	if err, _ := verdicts[2].(error); !errors.Is(err, ErrNotFound) {
		t.Errorf("second removal: %v, want ErrNotFound", err)
	}
	if w.store.Snapshot().Index() != 52 {
		t.Errorf("index %d, want 52", w.store.Snapshot().Index())
	}
}

// What it cannot read stops the machine where it is.
func TestFSMStopsAtANewerCommand(t *testing.T) {
	w := newWorld(t)
	fsm := NewFSM(w.store)
	before := persisted(t, w.store)
	known, err := Encode(&RemoveNode{"n1"})
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range [][]byte{[]byte("\x01\xff\xff\x00\x00{}"), known} {
		verdict, _ := fsm.Apply(&raft.Log{Index: uint64(60 + i), Type: raft.LogCommand, Data: data}).(error)
		if !errors.Is(verdict, ErrUnknownCommand) || !strings.Contains(verdict.Error(), "log index 60") {
			t.Errorf("entry %d: %v, want ErrUnknownCommand at log index 60", 60+i, verdict)
		}
	}
	if err := <-fsm.Failed(); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("Failed gives %v", err)
	}
	if _, err := fsm.Snapshot(); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("Snapshot: %v, want none", err)
	}
	if !bytes.Equal(persisted(t, w.store), before) {
		t.Error("the state moved on after a command it could not read")
	}
}

func TestFSMSnapshot(t *testing.T) {
	w := newWorld(t)
	fsm := NewFSM(w.store)
	snap, err := fsm.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	want := persisted(t, w.store)
	w.must(&RemoveNode{"n1"}) // after the snapshot: not in it
	var b bytes.Buffer
	good := &sink{Writer: &b}
	if err := snap.Persist(good); err != nil || !good.closed || good.cancelled || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("Persist: %v, closed %v, cancelled %v", err, good.closed, good.cancelled)
	}
	for left := range len(want) {
		bad := &sink{Writer: &failingWriter{left}}
		if err := snap.Persist(bad); !errors.Is(err, io.ErrShortWrite) || bad.closed || !bad.cancelled {
			t.Fatalf("disk full after %d bytes: %v, closed %v, cancelled %v", left, err, bad.closed, bad.cancelled)
		}
	}
	if err := fsm.Restore(io.NopCloser(&b)); err != nil || !bytes.Equal(persisted(t, w.store), want) {
		t.Errorf("Restore: %v", err)
	}
	if err := fsm.Restore(io.NopCloser(strings.NewReader("nonsense"))); !errors.Is(err, ErrBadSnapshot) {
		t.Errorf("Restore of nonsense: %v", err)
	}
}
