package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests closed it before
	return s
}

// describe cuts data and gives what Begin wants.
func describe(data []byte, chunk int) File {
	f := File{Digest: Digest(sha256.Sum256(data)), Size: uint64(len(data)), ChunkSize: uint32(chunk)}
	for c := range slices.Chunk(data, chunk) {
		f.Chunks = append(f.Chunks, sha256.Sum256(c))
	}
	return f
}

func random(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func begin(t testing.TB, s *Store, f File) *Writer {
	t.Helper()
	w, err := s.Begin(f)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write writes the chunks given, or all that are missing.
func write(t testing.TB, w *Writer, data []byte, chunks ...int) {
	t.Helper()
	if chunks == nil {
		chunks = w.Missing()
	}
	for _, n := range chunks {
		at, length := w.File().ChunkRange(n)
		if err := w.WriteChunk(n, data[at:at+length]); err != nil {
			t.Fatal(err)
		}
	}
}

func put(t testing.TB, s *Store, data []byte, chunk int) File {
	t.Helper()
	f := describe(data, chunk)
	w := begin(t, s, f)
	write(t, w, data)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return f
}

// holds checks that the store is sound and has the bytes.
func holds(t testing.TB, s *Store, data []byte) {
	t.Helper()
	path, err := s.Path(Digest(sha256.Sum256(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v; want the %d that were written", len(got), err, len(data))
	}
	sound(t, s)
}

func sound(t testing.TB, s *Store) {
	t.Helper()
	if broken := s.Check(); broken != nil {
		t.Fatalf("broken: %v", broken)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	for _, n := range []int{0, 1, 9, 10, 11, 1000} {
		data := random(uint64(n), n)
		f := put(t, s, data, 10)
		holds(t, s, data)
		if size, err := s.Size(f.Digest); err != nil || size != f.Size {
			t.Errorf("size %d, %v; want %d", size, err, f.Size)
		}
	}
	if used, free, err := s.Usage(); used != 1031 || free == 0 || err != nil {
		t.Errorf("usage %d, %d free, %v; want 1031", used, free, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir)
	holds(t, s, random(1000, 1000))
	if s.Repaired() != nil || len(s.List()) != 6 {
		t.Errorf("repaired %v, %d blobs; want nothing and 6", s.Repaired(), len(s.List()))
	}
	st, err := os.Stat(filepath.Join(dir, "index.db"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("index has mode %v, %v; want 0600", st.Mode(), err)
	}
	path, err := s.Path(Digest(sha256.Sum256(random(9, 9))))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("blob has mode %v, %v; want 0600", st.Mode(), err)
	}
	if err := errors.Join(s.Delete(Digest(sha256.Sum256(random(9, 9)))), s.Delete(Digest(sha256.Sum256(nil)))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Path(Digest(sha256.Sum256(nil))); !errors.Is(err, ErrNotFound) {
		t.Errorf("path of a deleted blob: %v", err)
	}
	sound(t, s)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	openAt(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
}

func TestWrongInputIsRefused(t *testing.T) {
	s := openAt(t, t.TempDir())
	data := random(1, 25)
	f := describe(data, 10)
	w := begin(t, s, f)
	if _, err := s.Begin(f); !errors.Is(err, ErrBusy) {
		t.Errorf("second writer: %v, want ErrBusy", err)
	}
	if err := s.DropPartial(f.Digest); !errors.Is(err, ErrBusy) {
		t.Errorf("drop under a writer: %v, want ErrBusy", err)
	}
	for _, c := range []struct {
		n    int
		data []byte
		want error
		text string
	}{
		{-1, data[:10], ErrInvalid, "chunk -1 of sha256:"}, {3, data[:10], ErrInvalid, "want 0 to 2"},
		{2, data[:10], ErrInvalid, "10 bytes, want 5"}, {0, data[10:20], ErrMismatch, "chunk 0 of"},
	} {
		if err := w.WriteChunk(c.n, c.data); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("chunk %d: %v, want %q", c.n, err, c.text)
		}
	}
	write(t, w, data, 0, 0, 2)
	if err := w.Commit(); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "1 of 3") {
		t.Errorf("commit: %v, want ErrIncomplete", err)
	}
	if err := errors.Join(w.Close(), w.Close(), w.Discard()); err != nil {
		t.Error(err)
	}
	if err := w.WriteChunk(1, data[10:20]); !errors.Is(err, ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	for name, bad := range map[string]File{
		"upper case": {Digest: strings.ToUpper(f.Digest), ChunkSize: 1}, "traversal": {Digest: "sha256:../../../etc/passwd", ChunkSize: 1},
		"no chunk size": {Digest: f.Digest}, "chunks": {Digest: f.Digest, Size: 25, ChunkSize: 10, Chunks: f.Chunks[:2]},
		"overflow": {Digest: f.Digest, Size: 1<<64 - 1, ChunkSize: 1 << 30, Chunks: f.Chunks}, "large": {Digest: f.Digest, ChunkSize: 1<<30 + 1},
	} {
		if _, err := s.Begin(bad); !errors.Is(err, ErrInvalid) || bad.Check() == nil {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for _, err := range []error{s.Delete("x"), s.Pin("me", time.Now(), "x"), s.DropPartial("x"), s.Matches(File{})} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%v, want ErrInvalid", err)
		}
	}
	for _, err := range []error{s.Delete(f.Digest), s.Pin("me", time.Now(), f.Digest), s.Matches(f), s.Touch("me", time.Now())} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	}
}

// Right chunks of a wrong whole are forgotten: the description was a lie.
func TestWholeIsVerified(t *testing.T) {
	s := openAt(t, t.TempDir())
	f := describe(random(1, 25), 10)
	f.Digest = Digest(sha256.Sum256([]byte("other")))
	w := begin(t, s, f)
	write(t, w, random(1, 25))
	if err := w.Commit(); !errors.Is(err, ErrMismatch) {
		t.Fatalf("commit: %v, want ErrMismatch", err)
	}
	if list, err := s.Partials(); len(list) != 0 || err != nil || s.Has(f.Digest) {
		t.Errorf("left over: %v, %v", list, err)
	}
	if err := w.Commit(); !errors.Is(err, ErrClosed) {
		t.Errorf("commit again: %v", err)
	}
}

func TestResumeAndOtherCuts(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	data := random(3, 95)
	w := begin(t, s, describe(data, 10))
	write(t, w, data, 1, 9, 4)
	if err := s.Close(); err != nil { // closes the writer too
		t.Fatal(err)
	}
	s = openAt(t, dir)
	w = begin(t, s, describe(data, 10))
	if got := w.Missing(); !slices.Equal(got, []int{0, 2, 3, 5, 6, 7, 8}) {
		t.Errorf("missing %v after a restart", got)
	}
	if list, err := s.Partials(); err != nil || len(list) != 1 || !list[0].Open || list[0].Idle.IsZero() {
		t.Errorf("partials %+v, %v", list, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = begin(t, s, describe(data, 20))
	if got := w.Missing(); len(got) != 5 {
		t.Errorf("missing %v after another cut; want all 5", got)
	}
	write(t, w, data)
	if err := errors.Join(w.Commit(), w.Commit()); err != nil {
		t.Fatal(err)
	}
	holds(t, s, data)
	wrong := describe(data, 10)
	wrong.Chunks[3][0]++
	short := describe(data[:90], 10)
	short.Digest = wrong.Digest
	if err := errors.Join(s.Matches(describe(data, 10)), s.Matches(describe(data, 20))); err != nil {
		t.Error(err)
	}
	for _, f := range []File{wrong, short} {
		if err := s.Matches(f); !errors.Is(err, ErrMismatch) {
			t.Errorf("matches: %v, want ErrMismatch", err)
		}
	}
	w = begin(t, s, describe(random(4, 50), 10))
	write(t, w, random(4, 50), 0)
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Partials(); len(list) != 0 || err != nil {
		t.Errorf("after Discard: %v, %v", list, err)
	}
}

func TestConcurrentWriters(t *testing.T) {
	s := openAt(t, t.TempDir())
	data := random(5, 64<<10)
	f := describe(data, 1<<10)
	w := begin(t, s, f)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range f.Chunks {
				n := (i + 8*g) % len(f.Chunks)
				at, length := f.ChunkRange(n)
				if err := w.WriteChunk(n, data[at:at+length]); err != nil {
					t.Error(err)
				}
				if err := w.sync(); err != nil {
					t.Error(err)
				}
			}
			if err := w.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holds(t, s, data)
}

func TestPins(t *testing.T) {
	s := openAt(t, t.TempDir())
	a, b := put(t, s, []byte("a"), 1), put(t, s, []byte("b"), 1)
	at := time.UnixMilli(1000)
	if err := errors.Join(s.Pin("one", at.Add(time.Second), a.Digest, b.Digest), s.Pin("two", at, b.Digest)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(a.Digest); !errors.Is(err, ErrPinned) || !strings.Contains(err.Error(), "by one") {
		t.Errorf("delete: %v, want ErrPinned", err)
	}
	if err := s.Touch("two", at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	pins, err := s.Pins()
	if err != nil || len(pins) != 2 || pins[1].Owner != "two" || !pins[1].Used.Equal(at.Add(time.Minute)) || len(pins[0].Blobs) != 2 {
		t.Errorf("pins %+v, %v", pins, err)
	}
	if err := errors.Join(s.Unpin("one"), s.Delete(a.Digest)); err != nil {
		t.Error(err)
	}
	if err := s.Delete(b.Digest); !errors.Is(err, ErrPinned) {
		t.Errorf("delete: %v, want ErrPinned", err)
	}
	sound(t, s)
}

func TestScrubFindsRot(t *testing.T) {
	s := openAt(t, t.TempDir())
	good, bad := put(t, s, random(1, 100), 10), put(t, s, random(2, 100), 10)
	path, err := s.Path(bad.Digest)
	if err != nil {
		t.Fatal(err)
	}
	rotten := random(2, 100)
	rotten[50] ^= 1
	if err := os.WriteFile(path, rotten, 0o600); err != nil {
		t.Fatal(err)
	}
	sound(t, s) // sizes are right
	if found := s.Scrub(t.Context()); len(found) != 1 || !errors.Is(found[0], ErrMismatch) || !strings.Contains(found[0].Error(), bad.Digest) {
		t.Errorf("scrub: %v", found)
	}
	if s.Has(bad.Digest) || !s.Has(good.Digest) {
		t.Error("the rotten blob is still here, or the good one is not")
	}
	put(t, s, random(2, 100), 10) // it can come again
	holds(t, s, random(2, 100))
	if left, err := os.ReadDir(filepath.Join(s.dir, "quarantine")); len(left) != 1 || err != nil {
		t.Errorf("quarantine %v, %v", left, err)
	}
	if err := s.Purge(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, "quarantine")); len(left) != 0 || err != nil {
		t.Errorf("quarantine %v, %v", left, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found := s.Scrub(ctx); len(found) != 1 || !errors.Is(found[0], context.Canceled) {
		t.Errorf("scrub: %v", found)
	}
}

// Open finds by name and size what happened to the files while nobody looked.
func TestOpenPutsRight(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	gone, short, fine := put(t, s, random(1, 50), 10), put(t, s, random(2, 50), 10), put(t, s, random(3, 50), 10)
	half := describe(random(4, 50), 10)
	write(t, begin(t, s, half), random(4, 50), 1)
	pg, _ := s.Path(gone.Digest)
	ps, _ := s.Path(short.Digest)
	sum, _ := ParseDigest(half.Digest)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stray := Digest(Sum{7})
	straySum, _ := ParseDigest(stray)
	if err := errors.Join(os.Remove(pg), os.Truncate(ps, 49), os.Remove(s.partialPath(sum)),
		os.MkdirAll(filepath.Dir(s.blobPath(straySum)), 0o700), os.WriteFile(s.blobPath(straySum), []byte("no"), 0o600),
		os.WriteFile(filepath.Join(dir, "blobs", "README"), nil, 0o600),
		os.WriteFile(filepath.Join(dir, "partial", "junk"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir)
	if s.Has(gone.Digest) || s.Has(short.Digest) || s.Has(stray) || !s.Has(fine.Digest) {
		t.Error("wrong blobs are here")
	}
	text := fmt.Sprint(s.Repaired())
	for _, want := range []string{"file is gone", "49 bytes, want 50", "without a record", "README does not belong", "begins again"} {
		if !strings.Contains(text, want) {
			t.Errorf("repaired %s, want %q", text, want)
		}
	}
	if w := begin(t, s, half); len(w.Missing()) != 5 {
		t.Errorf("missing %v, want all", w.Missing())
	}
	sound(t, s)
}

func TestCheckNamesWhatIsBroken(t *testing.T) {
	s := openAt(t, t.TempDir())
	f := put(t, s, random(1, 50), 10)
	path, _ := s.Path(f.Digest)
	w := begin(t, s, describe(random(2, 50), 10))
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketPins).Put([]byte("me"), encodePin(time.Now(), []Sum{{9}}))
	})
	if err := errors.Join(err, os.Remove(path), os.Truncate(w.f.Name(), 3)); err != nil {
		t.Fatal(err)
	}
	if broken := s.Check(); len(broken) != 3 {
		t.Errorf("check: %v; want blob, partial and pin", broken)
	}
	if found := s.Scrub(t.Context()); len(found) != 0 && s.Has(f.Digest) {
		t.Errorf("scrub: %v", found)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketBlobs).Put([]byte("short"), nil) })
	if broken := s.Check(); err != nil || len(broken) == 0 || !strings.Contains(fmt.Sprint(broken), "key of 5 bytes") {
		t.Errorf("check: %v, %v", broken, err)
	}
}

// A damaged index costs nothing but time: the files make a new one.
func TestDamagedIndexIsRebuilt(t *testing.T) {
	if raceDetector {
		t.Skip("where bbolt gives up over damaged pages, its own goroutines race for the transaction")
	}
	dir := t.TempDir()
	s := openAt(t, dir)
	for i := range uint64(20) {
		put(t, s, random(i, 100), 10)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "index.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rebuilt := 0
	for at := 0; at < len(good); at += 509 {
		bad := bytes.Clone(good)
		for i := at; i < min(at+16, len(bad)); i++ {
			bad[i] ^= 0x5a
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, dir)
		if len(s.Repaired()) > 0 {
			rebuilt++
		}
		for i := range uint64(20) {
			if path, err := s.Path(Digest(sha256.Sum256(random(i, 100)))); err != nil {
				t.Fatalf("damage at %d: blob %d: %v", at, i, err)
			} else if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, random(i, 100)) {
				t.Fatalf("damage at %d: blob %d has other bytes, %v", at, i, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for size := len(good) - 1; size > 0; size -= 8191 {
		if err := os.WriteFile(path, good[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, dir)
		if err := s.Close(); err != nil || len(s.List()) != 20 {
			t.Fatalf("cut to %d bytes: %d blobs, %v", size, len(s.List()), err)
		}
	}
	if rebuilt == 0 {
		t.Error("no damage was ever noticed")
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyFormat, []byte{0, 0, 0, 0, 0, 0, 0, 2})
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrFormat) {
		t.Errorf("open: %v, want ErrFormat", err)
	}
}

func TestFullDiskIsSeenBefore(t *testing.T) {
	s := openAt(t, t.TempDir())
	real := s.free
	s.free = func(string) (uint64, error) { return 99, nil }
	data := random(1, 1<<20)
	_, err := s.Begin(describe(data, 1<<16))
	var full *NoSpaceError
	if !errors.As(err, &full) || full.Need < 1<<20-4096 || full.Free != 99 {
		t.Fatalf("begin: %v, want NoSpaceError", err)
	}
	if list, err := s.Partials(); len(list) != 0 || err != nil {
		t.Errorf("left over: %v, %v", list, err)
	}
	s.free = real
	put(t, s, data, 1<<16)
	holds(t, s, data)
}

// tmpfs mounts a small file system, where this is allowed.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// The disk says that it is full, although there seemed to be room.
func TestFullDiskHarmsNothing(t *testing.T) {
	dir := tmpfs(t, "2m")
	s := openAt(t, filepath.Join(dir, "store"))
	s.free = func(string) (uint64, error) { return 1 << 40, nil }
	small, large := random(1, 1<<19), random(2, 4<<20)
	put(t, s, small, 1<<16)
	_, err := s.Begin(describe(large, 1<<16))
	var full *NoSpaceError
	if !errors.As(err, &full) {
		t.Fatalf("begin: %v, want NoSpaceError", err)
	}
	holds(t, s, small)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	put(t, s, large, 1<<16)
	holds(t, s, large)
}

// A crash at any moment is a copy of the directory at that moment: the copy opens,
// says what is missing, and is completed to the right bytes.
func TestCrashAnywhere(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	data := random(9, 205)
	f := describe(data, 10)
	w := begin(t, s, f)
	crash := func(moment string, atMost int) {
		t.Helper()
		to := t.TempDir()
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		c := openAt(t, to)
		if !c.Has(f.Digest) {
			cw := begin(t, c, f)
			if got := len(cw.Missing()); got > atMost {
				t.Errorf("%s: %d chunks missing, want at most %d", moment, got, atMost)
			}
			write(t, cw, data)
			if err := cw.Commit(); err != nil {
				t.Fatalf("%s: %v", moment, err)
			}
		} else if atMost > 0 {
			t.Errorf("%s: the blob is here", moment)
		}
		holds(t, c, data)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	crash("begun", 21)
	for i, n := range rand.New(rand.NewPCG(1, 1)).Perm(21) {
		durable := 21 - i
		write(t, w, data, n)
		crash("written, not synced", 21) // its bit is not on the disk, which is no harm
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		crash("synced", durable-1)
	}
	if err := s.place(w.sum); err != nil { // the first half of Commit
		t.Fatal(err)
	}
	crash("renamed, not recorded", 0)
	if err := os.Rename(s.blobPath(w.sum), s.partialPath(w.sum)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	crash("committed", 0)
	if err := os.Remove(s.blobPath(w.sum)); err != nil { // the first half of Delete
		t.Fatal(err)
	}
	crash("deleted, still recorded", 21)
}

func TestSyncsComeInBatches(t *testing.T) {
	s := openAt(t, t.TempDir())
	data := random(1, 4096)
	w := begin(t, s, describe(data, 1))
	w.synced = time.Now().Add(time.Hour) // never due by time
	writes := func() int64 {
		stats := s.db.Stats()
		return stats.TxStats.GetWrite()
	}
	before := writes()
	write(t, w, data)
	if after := writes(); after != before {
		t.Errorf("%d page writes for 4096 chunks of one byte, want none before Commit", after-before)
	}
	w.synced = time.Time{}
	if !w.wrote(0, 1) {
		t.Error("no sync is due after two seconds")
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, s, data)
}

func TestHandler(t *testing.T) {
	s := openAt(t, t.TempDir())
	data := random(1, 1000)
	f := put(t, s, data, 100)
	half := begin(t, s, describe(random(2, 100), 10)).File()
	srv := httptest.NewServer(Handler(s))
	defer srv.Close()
	for _, c := range []struct {
		method, path, ranges string
		status               int
		body                 []byte
	}{
		{"GET", f.Digest, "", 200, data}, {"GET", f.Digest, "bytes=100-199", 206, data[100:200]}, {"HEAD", f.Digest, "", 200, []byte{}},
		{"GET", f.Digest, "bytes=990-", 206, data[990:]}, {"GET", f.Digest, "bytes=2000-", 416, nil},
		{"GET", half.Digest, "", 404, nil}, {"GET", Digest(Sum{1}), "", 404, nil}, {"GET", "sha256:..%2f..%2findex.db", "", 400, nil},
		{"GET", strings.ToUpper(f.Digest), "", 400, nil}, {"PUT", f.Digest, "", 405, nil}, {"GET", "", "", 404, nil},
	} {
		req, err := http.NewRequest(c.method, srv.URL+"/blobs/"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.ranges != "" {
			req.Header.Set("Range", c.ranges)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != c.status || c.body != nil && !bytes.Equal(body, c.body) {
			t.Errorf("%s %s %s: %d with %d bytes, %v; want %d", c.method, c.path, c.ranges, resp.StatusCode, len(body), err, c.status)
		}
	}
	path, _ := s.Path(f.Digest)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	Handler(s).ServeHTTP(rec, httptest.NewRequest("GET", "/blobs/"+f.Digest, nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("a lost file gives %d, want 404", rec.Code)
	}
}

func TestAssemble(t *testing.T) {
	s := openAt(t, t.TempDir())
	a, b := put(t, s, []byte("weights"), 10), put(t, s, []byte("config"), 10)
	dir := filepath.Join(t.TempDir(), "v1")
	entries := []Entry{{"sub/model.gguf", a.Digest}, {"config.json", b.Digest}}
	for range 2 {
		path, err := s.Assemble(dir, entries)
		if err != nil || path != filepath.Join(dir, "sub", "model.gguf") {
			t.Fatalf("%s, %v", path, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "weights" {
			t.Errorf("%q, %v", got, err)
		}
		// Another file of that name is replaced the second time.
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("rotten!"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := s.Assemble(dir+"2", entries[1:]); err != nil || path != dir+"2" {
		t.Errorf("%s, %v; want the directory", path, err)
	}
	if _, err := s.Assemble(dir, []Entry{{"x", Digest(Sum{})}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("assemble: %v, want ErrNotFound", err)
	}
	for _, bad := range [][]string{{"../x"}, {"/x"}, {""}, {"."}, {"a/../b"}, {"a//b"}, {"a\\b"}, {"a\x00"}, {"a", "a"}, {"a/b/c", "a"}} {
		if err := CheckPaths(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", bad, err)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	for _, s := range []string{"", "sha256:", Digest(Sum{1}), "sha256:../../../../etc/passwd", "sha512:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if sum, err := ParseDigest(s); err == nil && Digest(sum) != s {
			t.Errorf("%q parses to %s", s, Digest(sum))
		}
	})
}

// No path but that of a blob gives bytes.
func FuzzHandler(f *testing.F) {
	s := openAt(f, f.TempDir())
	data := []byte("the only bytes")
	digest := put(f, s, data, 10).Digest
	for _, p := range []string{"/blobs/" + digest, "/blobs/../index.db", "/blobs/sha256:..%2f..%2findex.db", "//", "/blobs/" + digest + "/.."} {
		f.Add(p)
	}
	h := Handler(s)
	f.Fuzz(func(t *testing.T, path string) {
		req, err := http.NewRequest(http.MethodGet, "http://host/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path = path
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code == http.StatusOK && (path != "/blobs/"+digest || rec.Body.String() != string(data)) {
			t.Errorf("%q gives %q", path, rec.Body)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(encodePartial(describe(random(1, 25), 10)))
	f.Add(encodePin(time.UnixMilli(5), []Sum{{1}}))
	f.Add(blobRecord{size: 7}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeBlob(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("blob %x", b)
		}
		if p, err := decodePartial(Sum{1}, b); err == nil && !bytes.Equal(encodePartial(p), b) {
			t.Errorf("partial %x", b)
		}
		if p, err := decodePin("x", b); err == nil && len(p.Blobs) != (len(b)-pinHead)/32 {
			t.Errorf("pin %x", b)
		}
	})
}
