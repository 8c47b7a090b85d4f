package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests closed it before
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "raft.db"))
}

// entry makes a log entry that says in its data who it is.
func entry(index, term uint64) *raft.Log {
	return &raft.Log{
		Index: index, Term: term, Type: raft.LogCommand, Data: []byte(fmt.Sprintf("command %d of term %d", index, term)),
		AppendedAt: time.Unix(1795435200, 123456789),
	}
}

func entries(first, last, term uint64) (out []*raft.Log) {
	for i := first; i <= last; i++ {
		out = append(out, entry(i, term))
	}
	return out
}

func store(t testing.TB, s *Store, logs ...*raft.Log) {
	t.Helper()
	if err := s.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

// holds checks that the log is exactly the entries from first to last, in a sound file.
func holds(t testing.TB, s *Store, first, last uint64) {
	t.Helper()
	reads(t, s, first, last)
	if broken := s.Check(); broken != nil {
		t.Fatalf("broken: %v", broken)
	}
}

// reads checks that the log reads as exactly the entries from first to last.
func reads(t testing.TB, s *Store, first, last uint64) {
	t.Helper()
	gotFirst, err1 := s.FirstIndex()
	gotLast, err2 := s.LastIndex()
	if err := errors.Join(err1, err2); err != nil || gotFirst != first || gotLast != last {
		t.Fatalf("log from %d to %d, %v; want %d to %d", gotFirst, gotLast, err, first, last)
	}
	for i := first; i <= last && i > 0; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil || l.Index != i || !strings.HasPrefix(string(l.Data), fmt.Sprintf("command %d ", i)) {
			t.Fatalf("index %d is %+v, %v", i, l, err)
		}
	}
}

func TestEmptyLog(t *testing.T) {
	s := newStore(t)
	holds(t, s, 0, 0)
	if err := s.GetLog(1, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("GetLog: %v, want raft.ErrLogNotFound", err)
	}
	if err := s.StoreLogs(nil); err != nil {
		t.Errorf("StoreLogs of nothing: %v", err)
	}
	if err := s.DeleteRange(1, 9); err != nil {
		t.Errorf("DeleteRange of nothing: %v", err)
	}
	if !s.IsMonotonic() {
		t.Error("IsMonotonic is false, and yet gaps are refused")
	}
}

func TestLogRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openAt(t, path)
	want := []*raft.Log{
		{Index: 5, Term: 1, Type: raft.LogConfiguration, Data: []byte("members")},
		{Index: 6, Term: 1, Type: raft.LogNoop},
		{Index: 7, Term: 2, Type: raft.LogCommand, Data: bytes.Repeat([]byte("x"), 1<<20), AppendedAt: time.Unix(1795435200, 1)},
		{Index: 8, Term: 2, Type: raft.LogBarrier, Data: []byte("d"), Extensions: []byte("extra"), AppendedAt: time.Unix(0, 0)},
	}
	store(t, s, want[:3]...)
	if err := s.StoreLog(want[3]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, w := range want {
			var got raft.Log
			if err := s.GetLog(w.Index, &got); err != nil || !reflect.DeepEqual(&got, w) {
				t.Errorf("index %d came back as %+v, %v", w.Index, got, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, path) // and again after a restart
	}
}

func TestDeleteRange(t *testing.T) {
	for _, c := range []struct{ from, to, first, last uint64 }{
		{1, 30, 31, 100}, {51, 100, 1, 50}, {1, 100, 0, 0}, {100, 200, 1, 99}, {0, 1, 2, 100}, {60, 50, 1, 100},
	} {
		s := newStore(t)
		store(t, s, entries(1, 100, 1)...)
		if err := s.DeleteRange(c.from, c.to); err != nil {
			t.Fatal(err)
		}
		holds(t, s, c.first, c.last)
	}
}

func TestSuffixIsReplaced(t *testing.T) {
	s := newStore(t)
	store(t, s, entries(1, 20, 1)...)
	if err := s.DeleteRange(11, 20); err != nil {
		t.Fatal(err)
	}
	store(t, s, entries(11, 15, 2)...)
	holds(t, s, 1, 15)
	var l raft.Log
	if err := s.GetLog(11, &l); err != nil || l.Term != 2 {
		t.Errorf("index 11 has term %d, %v; want 2", l.Term, err)
	}
}

func TestGapsAreRefusedWhole(t *testing.T) {
	s := newStore(t)
	store(t, s, entries(10, 12, 1)...) // an empty log may begin anywhere
	for name, logs := range map[string][]*raft.Log{
		"gap":     entries(14, 14, 1),
		"overlap": entries(12, 12, 1),
		"inner":   {entry(13, 1), entry(15, 1)},
	} {
		if err := s.StoreLogs(logs); !errors.Is(err, ErrGap) {
			t.Errorf("%s: %v, want ErrGap", name, err)
		}
	}
	holds(t, s, 10, 12)
}

func TestStable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openAt(t, path)
	// Raft tells a missing value from a failure by this very text.
	if _, err := s.Get([]byte("term")); err == nil || err.Error() != "not found" {
		t.Errorf("Get of nothing: %v", err)
	}
	if v, err := s.GetUint64([]byte("term")); v != 0 || err == nil || err.Error() != "not found" {
		t.Errorf("GetUint64 of nothing: %d, %v", v, err)
	}
	for _, v := range []uint64{0, 7, 1<<64 - 1} {
		if err := s.SetUint64([]byte("term"), v); err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetUint64([]byte("term")); err != nil || got != v {
			t.Errorf("term %d, %v; want %d", got, err, v)
		}
	}
	for _, v := range []string{"node-1", "", "node-2"} {
		if err := s.Set([]byte("vote"), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if v, err := s.Get([]byte("vote")); err != nil || string(v) != "node-2" {
		t.Errorf("after a restart vote is %q, %v", v, err)
	}
	if _, err := s.GetUint64([]byte("vote")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("GetUint64 of text: %v, want ErrCorrupt", err)
	}
	if err := s.Set(nil, []byte("x")); err == nil {
		t.Error("stored under an empty key")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openAt(t, path)
	if _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode().Perm(), err)
	}
}

// edit changes a closed store's file by hand.
func edit(t *testing.T, path string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenNamesWhatIsBroken(t *testing.T) {
	put := func(bucket []byte, key, value string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte(value)) }
	}
	sealed := func(l *raft.Log) string { return string(encodeLog(l)) }
	at := func(i uint64) string { return string(indexKey(i)) }
	newer := append([]byte{9}, encodeLog(entry(11, 1))[1:]...)
	long := seal(indexKey(11), append(make([]byte, 0, 64), "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09short"...))
	for want, c := range map[string]struct {
		change func(*bbolt.Tx) error
		err    error
	}{
		"log index 7: corrupt record":       {put(bucketLog, at(7), sealed(entry(8, 1))), ErrCorrupt},
		"log index 3: corrupt record: 2 b":  {put(bucketLog, at(3), "ab"), ErrCorrupt},
		"log index 12 follows 10":           {put(bucketLog, at(12), sealed(entry(12, 1))), ErrCorrupt},
		"log index 11 has term 0":           {put(bucketLog, at(11), sealed(entry(11, 0))), ErrCorrupt},
		"log index 11: corrupt record: its": {put(bucketLog, at(11), string(newer)), ErrCorrupt},
		"9 bytes of extensions in 5":        {put(bucketLog, at(11), string(long)), ErrCorrupt},
		"format this build does not read":   {put(bucketLog, at(11), string(seal(indexKey(11), []byte{2}))), ErrCorrupt},
		"key of 3 bytes":                    {put(bucketLog, "abc", ""), ErrCorrupt},
		`stable value "term"`:               {put(bucketStable, "term", "abcdefgh"), ErrCorrupt},
		"a bucket is missing":               {func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketStable) }, ErrCorrupt},
		"format not known":                  {put(bucketMeta, "format", at(2)), ErrFormat},
	} {
		path := filepath.Join(t.TempDir(), "raft.db")
		s := openAt(t, path)
		store(t, s, entries(1, 10, 1)...)
		if err := errors.Join(s.SetUint64([]byte("term"), 1), s.Close()); err != nil {
			t.Fatal(err)
		}
		edit(t, path, c.change)
		if _, err := Open(path); !errors.Is(err, c.err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Damage that comes while the store is open is found at the read, and by Check.
func TestReadsNoticeDamage(t *testing.T) {
	s := newStore(t)
	store(t, s, entries(1, 5, 1)...)
	if err := s.SetUint64([]byte("term"), 1); err != nil {
		t.Fatal(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(bucketLog).Put(indexKey(3), encodeLog(entry(4, 1))),
			tx.Bucket(bucketLog).Put(indexKey(9), encodeLog(entry(9, 0))),
			tx.Bucket(bucketLog).Put([]byte{0xff}, nil),
			tx.Bucket(bucketStable).Put([]byte("term"), []byte("12345678")))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.GetLog(3, new(raft.Log)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "log index 3") {
		t.Errorf("GetLog: %v, want ErrCorrupt of log index 3", err)
	}
	if _, err := s.GetUint64([]byte("term")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("GetUint64: %v, want ErrCorrupt", err)
	}
	if _, err := s.LastIndex(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("LastIndex: %v, want ErrCorrupt", err)
	}
	if err := s.StoreLog(entry(6, 1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("StoreLog: %v, want ErrCorrupt", err)
	}
	if err := s.DeleteRange(1, 1<<63); !errors.Is(err, ErrCorrupt) {
		t.Errorf("DeleteRange: %v, want ErrCorrupt", err)
	}
	if broken := s.Check(); len(broken) != 4 {
		t.Errorf("Check: %v, want log 3, log 9, the odd key and term", broken)
	}
}

// Any byte of the file changed, anywhere: Open fails, or the log reads as it was, since
// the byte lay where nothing or only the pages' own numbering is. Nothing ends the
// process.
func TestFlippedBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openAt(t, path)
	for i := uint64(1); i <= 400; i += 50 {
		store(t, s, entries(i, i+49, 1)...)
	}
	if err := errors.Join(s.DeleteRange(1, 120), s.SetUint64([]byte("term"), 1), s.Close()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 0; at < len(good); at += 61 {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			refused++
			continue
		}
		reads(t, s, 121, 400)
		_ = s.Check() // may name the page; must not panic
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("no flipped byte was ever noticed")
	}
}

func FuzzDecodeLog(f *testing.F) {
	f.Add(encodeLog(entry(7, 1)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l raft.Log
		if err := decodeLog(7, b, &l); err == nil && !bytes.Equal(encodeLog(&l), b) {
			t.Errorf("%x decodes to %+v, which encodes to %x", b, l, encodeLog(&l))
		}
		body := seal(indexKey(7), bytes.Clone(b)) // with a right CRC the fields are reached
		if err := decodeLog(7, body, &l); err == nil && !bytes.Equal(encodeLog(&l), body) {
			t.Errorf("%x decodes to %+v", body, l)
		}
	})
}

func BenchmarkStoreLogs(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			s := newStore(b)
			data := bytes.Repeat([]byte("x"), 512)
			next := uint64(1)
			for b.Loop() {
				logs := make([]*raft.Log, batch)
				for i := range logs {
					logs[i] = &raft.Log{Index: next, Term: 1, Data: binary.BigEndian.AppendUint64(data, next)}
					next++
				}
				store(b, s, logs...)
			}
			b.ReportMetric(float64(batch), "entries/op")
		})
	}
}
