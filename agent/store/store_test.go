package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanofleet/nanofleet/internal/blob"
	"github.com/nanofleet/nanofleet/wire"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests closed it before
	return s
}

// content gives n bytes that differ from chunk to chunk.
func content(seed string, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, i))
		b = append(b, sum[:]...)
	}
	return b[:n]
}

func file(path string, data []byte, chunk int) *wire.File {
	sum := sha256.Sum256(data)
	f := &wire.File{Path: path, Size: uint64(len(data)), Digest: blob.Digest(sum), ChunkSize: uint32(chunk)}
	for c := range slices.Chunk(data, chunk) {
		sum := sha256.Sum256(c)
		f.Chunks = append(f.Chunks, sum[:])
	}
	return f
}

func manifest(files ...*wire.File) *wire.Manifest { return &wire.Manifest{Files: files} }

// origin is a source that serves bytes from memory and may misbehave.
type origin struct {
	name   string
	blobs  map[string][]byte
	before func(offset uint64, into []byte) error // called with the right bytes
	reads  atomic.Int64
}

func newOrigin(name string, contents ...[]byte) *origin {
	o := &origin{name: name, blobs: map[string][]byte{}}
	for _, c := range contents {
		o.blobs[blob.Digest(sha256.Sum256(c))] = c
	}
	return o
}

func (o *origin) String() string { return o.name }

func (o *origin) ReadChunk(ctx context.Context, digest string, offset, length uint64, into []byte) error {
	o.reads.Add(1)
	data, ok := o.blobs[digest]
	if !ok {
		return errors.New("not here")
	}
	copy(into, data[offset:offset+length])
	if o.before != nil {
		if err := o.before(offset, into); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func pull(t *testing.T, s *Store, version string, m *wire.Manifest, sources ...Source) string {
	t.Helper()
	path, err := s.Pull(t.Context(), version, m, sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func reads(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes, %v; want %d others", path, len(got), err, len(want))
	}
}

// Over HTTP from another store, as agents do from each other.
func TestPullFromPeer(t *testing.T) {
	weights, config := content("w", 1000), content("c", 33)
	m := manifest(file("model.gguf", weights, 64), file("sub/config.json", config, 64), file("copy.json", config, 64), file("empty.txt", nil, 64))
	first := open(t, t.TempDir())
	pull(t, first, "v1", m, newOrigin("memory", weights, config))
	srv := httptest.NewServer(first.Handler())
	defer srv.Close()

	second := open(t, t.TempDir())
	var last, total uint64
	path, err := second.Pull(t.Context(), "v1", m, []Source{HTTPSource{srv.Client(), srv.URL + "/"}}, func(done, of uint64) {
		if done < last {
			t.Errorf("progress falls from %d to %d", last, done)
		}
		last, total = done, of
	})
	if err != nil || filepath.Base(path) != "model.gguf" {
		t.Fatalf("%s, %v", path, err)
	}
	if last != 1033 || total != 1033 {
		t.Errorf("progress ends at %d of %d, want 1033", last, total)
	}
	reads(t, path, weights)
	reads(t, filepath.Join(filepath.Dir(path), "sub", "config.json"), config)
	reads(t, filepath.Join(filepath.Dir(path), "empty.txt"), nil)
	if used, free := second.Usage(); used != 1033 || free == 0 {
		t.Errorf("usage %d, %d free; want 1033", used, free)
	}
	if broken := second.Check(t.Context()); broken != nil {
		t.Error(broken)
	}
	srv.Close()
	pull(t, second, "v1", m) // all is here: no source is needed
	if dir := pull(t, second, "v2", manifest(m.Files[1])); dir != filepath.Join(second.versions, "v2") {
		t.Errorf("a version without GGUF loads from %s, want its directory", dir)
	}
}

func TestPullResumes(t *testing.T) {
	dir := t.TempDir()
	data := content("w", 640)
	m := manifest(file("model.gguf", data, 64))
	s := open(t, dir)
	src := newOrigin("cut", data)
	src.before = func(offset uint64, _ []byte) error {
		if offset == 576 {
			return errors.New("connection lost")
		}
		return nil
	}
	_, err := s.Pull(t.Context(), "v1", m, []Source{src}, nil)
	if err == nil || !strings.Contains(err.Error(), "chunk 9 of sha256:") || !strings.Contains(err.Error(), "from cut: connection lost") {
		t.Fatalf("pull: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	whole := newOrigin("whole", data)
	reads(t, pull(t, s, "v1", m, whole), data)
	if n := whole.reads.Load(); n < 1 || n > 4 {
		t.Errorf("%d chunks fetched after the restart, want at most 4 of 10", n)
	}
}

// A wrong byte is never let in: the next source is asked, or the same one again.
func TestWrongBytes(t *testing.T) {
	data := content("w", 640)
	m := manifest(file("model.gguf", data, 64))
	flip := func(_ uint64, into []byte) error { into[7] ^= 1; return nil }
	liar, honest := newOrigin("liar", data), newOrigin("honest", data)
	liar.before = flip
	reads(t, pull(t, open(t, t.TempDir()), "v1", m, liar, honest), data)

	once := newOrigin("once", data)
	var lied atomic.Bool
	once.before = func(_ uint64, into []byte) error {
		if lied.CompareAndSwap(false, true) {
			into[0] ^= 1
		}
		return nil
	}
	reads(t, pull(t, open(t, t.TempDir()), "v1", m, once), data)

	s := open(t, t.TempDir())
	_, err := s.Pull(t.Context(), "v1", m, []Source{liar}, nil)
	if !errors.Is(err, blob.ErrMismatch) || !strings.Contains(err.Error(), "from liar") || !strings.Contains(err.Error(), "chunk ") {
		t.Errorf("pull: %v, want ErrMismatch naming chunk and source", err)
	}
	if _, err := s.Pull(t.Context(), "v1", m, nil, nil); err == nil || !strings.Contains(err.Error(), "none of 0 sources") {
		t.Errorf("pull from nobody: %v", err)
	}
}

// Many pulls of the same bytes fetch each chunk once; one that is cancelled does not
// end the others, and those that come after all left begin anew.
func TestPullsShare(t *testing.T) {
	data := content("w", 640)
	m := manifest(file("model.gguf", data, 64))
	s := open(t, t.TempDir())
	gate, entered := make(chan struct{}), make(chan struct{}, 100)
	src := newOrigin("slow", data)
	src.before = func(uint64, []byte) error { entered <- struct{}{}; <-gate; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled, wg sync.WaitGroup
	cancelled.Go(func() {
		if _, err := s.Pull(ctx, "v0", m, []Source{src}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled pull: %v", err)
		}
	})
	<-entered
	for i := range 5 {
		wg.Go(func() {
			if _, err := s.Pull(t.Context(), fmt.Sprintf("v%d", i+1), m, []Source{src}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	for waiting(s) < 6 {
		runtime.Gosched()
	}
	cancel()
	cancelled.Wait()
	close(gate)
	wg.Wait()
	if n := src.reads.Load(); n != 10 {
		t.Errorf("%d reads for 10 chunks", n)
	}
}

// waiting counts the pulls that wait for downloads.
func waiting(s *Store) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flights {
		f.mu.Lock()
		n += len(f.waiters)
		f.mu.Unlock()
	}
	return n
}

func TestAbandonedPullBeginsAnew(t *testing.T) {
	data := content("w", 640)
	m := manifest(file("model.gguf", data, 64))
	s := open(t, t.TempDir())
	gate, entered := make(chan struct{}), make(chan struct{}, 100)
	src := newOrigin("slow", data)
	src.before = func(uint64, []byte) error { entered <- struct{}{}; <-gate; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := s.Pull(ctx, "v1", m, []Source{src}, nil)
		first <- err
	}()
	<-entered
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled pull: %v", err)
	}
	second := make(chan error)
	go func() {
		_, err := s.Pull(t.Context(), "v1", m, []Source{newOrigin("fast", data)}, nil)
		second <- err
	}()
	close(gate) // the abandoned download ends, the second goes on from what it left
	if err := <-second; err != nil {
		t.Fatal(err)
	}
}

func TestCloseEndsPulls(t *testing.T) {
	data := content("w", 640)
	s := open(t, t.TempDir())
	entered := make(chan struct{}, 100)
	stuck := sourceFunc(func(ctx context.Context) error { entered <- struct{}{}; <-ctx.Done(); return ctx.Err() })
	end := make(chan error)
	go func() {
		_, err := s.Pull(t.Context(), "v1", manifest(file("model.gguf", data, 64)), []Source{stuck}, nil)
		end <- err
	}()
	<-entered
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Errorf("pull: %v, want context.Canceled", err)
	}
}

type sourceFunc func(ctx context.Context) error

func (f sourceFunc) String() string { return "func" }

func (f sourceFunc) ReadChunk(ctx context.Context, _ string, _, _ uint64, _ []byte) error {
	return f(ctx)
}

func TestManifestIsChecked(t *testing.T) {
	s := open(t, t.TempDir())
	good := func() *wire.File { return file("a", []byte("abc"), 2) }
	edit := func(change func(f *wire.File)) *wire.Manifest {
		f := good()
		change(f)
		return manifest(f)
	}
	for want, c := range map[string]struct {
		version string
		m       *wire.Manifest
	}{
		"version id must match": {"../v1", manifest(good())},
		"names no file":         {"v1", manifest()},
		`path: "../x"`:          {"v1", edit(func(f *wire.File) { f.Path = "../x" })},
		"named twice":           {"v1", manifest(good(), good())},
		"has 2 bytes, want 32":  {"v1", edit(func(f *wire.File) { f.Chunks[1] = []byte("ab") })},
		"1 chunks, want 2":      {"v1", edit(func(f *wire.File) { f.Chunks = f.Chunks[:1] })},
		"64 lower-case hex":     {"v1", edit(func(f *wire.File) { f.Digest = "sha256:../../x" })},
	} {
		if _, err := s.Pull(t.Context(), c.version, c.m, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if left, err := os.ReadDir(s.versions); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestEvict(t *testing.T) {
	s := open(t, t.TempDir())
	shared := content("shared", 100)
	var all [][]byte
	for i := range 4 {
		data := content(fmt.Sprint(i), 1000)
		all = append(all, data)
		pull(t, s, fmt.Sprintf("v%d", i), manifest(file("m.gguf", data, 64), file("s", shared, 64)), newOrigin("o", data, shared))
	}
	unpin := s.Pin("v0") // the oldest, but in use
	if freed, err := s.Evict(5000); freed != 0 || err != nil {
		t.Errorf("evicted %d, %v although there was room", freed, err)
	}
	freed, err := s.Evict(2100)
	if freed != 2000 || err != nil {
		t.Errorf("evicted %d, %v; want 2000", freed, err)
	}
	left, err := os.ReadDir(s.versions)
	if err != nil || len(left) != 2 || left[0].Name() != "v0" || left[1].Name() != "v3" {
		t.Errorf("left %v, %v; want v0 and v3", left, err)
	}
	unpin()
	unpin() // the second time does nothing
	if freed, err := s.Evict(0); freed != 2100 || err != nil {
		t.Errorf("evicted %d, %v; want all 2100", freed, err)
	}
	if broken := s.Check(t.Context()); broken != nil {
		t.Error(broken)
	}
	reads(t, pull(t, s, "v1", manifest(file("m.gguf", all[1], 64)), newOrigin("o", all[1])), all[1])
}

// What a cut download left is given up before any version is.
func TestEvictDropsCutDownloads(t *testing.T) {
	s := open(t, t.TempDir())
	data, half := content("w", 640), content("half", 640)
	pull(t, s, "v1", manifest(file("m.gguf", data, 64)), newOrigin("o", data))
	if _, err := s.Pull(t.Context(), "v2", manifest(file("m.gguf", half, 64)), nil, nil); err == nil {
		t.Fatal("pulled from nobody")
	}
	if used, _ := s.Usage(); used != 1280 {
		t.Fatalf("%d bytes used, want 1280", used)
	}
	if freed, err := s.Evict(640); freed != 640 || err != nil {
		t.Errorf("evicted %d, %v; want 640", freed, err)
	}
	if left, err := os.ReadDir(s.versions); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v; want v1", left, err)
	}
}

// A rotten file is found, and the next pull brings and lays out a good one.
func TestRotIsHealed(t *testing.T) {
	s := open(t, t.TempDir())
	data := content("w", 640)
	m := manifest(file("model.gguf", data, 64))
	path := pull(t, s, "v1", m, newOrigin("o", data))
	if err := os.WriteFile(path, content("rot", 640), 0o600); err != nil {
		t.Fatal(err)
	}
	if broken := s.Check(t.Context()); len(broken) == 0 || !errors.Is(broken[0], blob.ErrMismatch) {
		t.Errorf("check: %v, want ErrMismatch", broken)
	}
	reads(t, pull(t, s, "v1", m, newOrigin("o", data)), data)
	if broken := s.Check(t.Context()); broken != nil {
		t.Error(broken)
	}
}

func TestHTTPSourceRefuses(t *testing.T) {
	var answer func(w http.ResponseWriter)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	defer srv.Close()
	src := HTTPSource{srv.Client(), srv.URL}
	for want, a := range map[string]func(w http.ResponseWriter){
		"404 Not Found, want 206: gone": func(w http.ResponseWriter) { http.Error(w, "gone", 404) },
		"200 OK, want 206":              func(w http.ResponseWriter) { fmt.Fprint(w, "12345") },
		`content-range "bytes 0-4/9"`: func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-4/9")
			w.WriteHeader(206)
		},
		"after 2 of 5 bytes": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 1-5/9")
			w.WriteHeader(206)
			fmt.Fprint(w, "12")
		},
	} {
		answer = a
		if err := src.ReadChunk(t.Context(), "sha256:x", 1, 5, make([]byte, 5)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := src.ReadChunk(t.Context(), "sha256:x", 1, 5, nil); err == nil {
		t.Error("read into nothing")
	}
	if err := (HTTPSource{srv.Client(), ":"}).ReadChunk(t.Context(), "x", 0, 1, make([]byte, 1)); err == nil {
		t.Error("read from no address")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := src.ReadChunk(ctx, "x", 0, 1, make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v, want the cause", err)
	}
}
