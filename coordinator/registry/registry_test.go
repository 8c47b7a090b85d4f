package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/blob"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

const chunk = 64 << 10

func open(t *testing.T, dir string) *Registry {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // some tests closed it before
	return r
}

// upload is what a client has: files and their bytes by digest.
type upload struct {
	files []state.File
	bytes map[string][]byte
}

func (m *upload) add(path string, data []byte) {
	f := state.File{Path: path, Size: uint64(len(data)), ChunkSize: chunk}
	sum := sha256.Sum256(data)
	f.Digest = blob.Digest(sum)
	for c := range slices.Chunk(data, chunk) {
		sum := sha256.Sum256(c)
		f.Chunks = append(f.Chunks, hex.EncodeToString(sum[:]))
	}
	m.files = append(m.files, f)
	if m.bytes == nil {
		m.bytes = map[string][]byte{}
	}
	m.bytes[f.Digest] = data
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gguf(t *testing.T) *upload {
	m := &upload{}
	m.add("tiny.gguf", read(t, tiny.GGUF()))
	return m
}

func directory(t *testing.T) *upload {
	t.Helper()
	m := &upload{}
	err := fs.WalkDir(os.DirFS(tiny.Dir()), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			m.add(p, read(t, filepath.Join(tiny.Dir(), p)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// send uploads at most limit chunks of what is missing and gives how many it sent.
func send(t *testing.T, r *Registry, m *upload, limit int) (sent int, err error) {
	t.Helper()
	st, err := r.Begin(t.Context(), "default", "tiny", m.files)
	if err != nil {
		return 0, err
	}
	if st.Version != VersionID("default", "tiny", m.files) {
		t.Errorf("begin says version %s", st.Version)
	}
	for _, f := range m.files {
		for _, n := range st.Missing[f.Digest] {
			if sent == limit {
				return sent, nil
			}
			data := m.bytes[f.Digest]
			if err := r.PutChunk(t.Context(), f.Digest, n, data[n*chunk:min(len(data), (n+1)*chunk)]); err != nil {
				return sent, err
			}
			sent++
		}
	}
	return sent, nil
}

func add(t *testing.T, r *Registry, m *upload) state.Version {
	t.Helper()
	if _, err := send(t, r, m, 1<<20); err != nil {
		t.Fatal(err)
	}
	v, err := r.Commit(t.Context(), "default", "tiny", m.files)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// refused checks that err is for the uploader, with this status and words.
func refused(t *testing.T, err error, status int, words string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.HTTPStatus() != status || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v (%T), want status %d and %q", err, err, status, words)
	}
}

func TestAddModel(t *testing.T) {
	for name, c := range map[string]struct {
		model              *upload
		format, arch, quan string
	}{"gguf": {gguf(t), "gguf", "llama", "q8_0"}, "directory": {directory(t), "safetensors", "LlamaForCausalLM", "bf16"}} {
		r := open(t, t.TempDir())
		v := add(t, r, c.model)
		if v.ID != VersionID("default", "tiny", c.model.files) || v.Project != "default" || v.Model != "tiny" {
			t.Errorf("%s: version %+v", name, v)
		}
		i := v.Info
		if i.Architecture != c.arch || i.Format != c.format || i.Context != tiny.Context || !i.HasTemplate || i.Parameters != 279104 || !strings.EqualFold(i.Quantisation, c.quan) {
			t.Errorf("%s: info %+v", name, i)
		}
		again := add(t, r, c.model)
		if sent, err := send(t, r, c.model, 1); sent != 0 || err != nil || again.ID != v.ID {
			t.Errorf("%s: the same content again sent %d chunks, %v, and is %s", name, sent, err, again.ID)
		}
		// Agents get exactly these bytes.
		for _, f := range v.Files {
			rec := httptest.NewRecorder()
			r.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/blobs/"+f.Digest, nil))
			if rec.Code != http.StatusOK || !bytes.Equal(rec.Body.Bytes(), c.model.bytes[f.Digest]) {
				t.Errorf("%s: %s: status %d with %d bytes", name, f.Path, rec.Code, rec.Body.Len())
			}
		}
	}
}

type versions map[string]state.Version

func (v versions) Version(id string) (state.Version, bool) { x, ok := v[id]; return x, ok }

func TestFit(t *testing.T) {
	r := open(t, t.TempDir())
	v := add(t, r, gguf(t))
	d := state.Deployment{Model: "tiny", Version: v.ID}
	dev := state.Device{Kind: "ref", MemoryBytes: 1 << 30}
	opts, need, err := r.Fit(versions{v.ID: v}, d, dev)
	if err != nil {
		t.Fatal(err)
	}
	if opts.Backend != "ref" || opts.Context != tiny.Context || need.Weights == 0 || need.KV != opts.KVBytes {
		t.Errorf("options %+v need %+v", opts, need)
	}
	dev.Kind = "cpu"
	d.Options = state.EngineOptions{Quant: "none", KVDType: "f16"}
	own, half, err := r.Fit(versions{v.ID: v}, d, dev)
	if err != nil || own.Quant != "" || own.KVDType != "" {
		t.Errorf("what a backend does anyway is no option: %+v, %v", own, err)
	}
	d.Options.KVDType = "f32"
	other, whole, err := r.Fit(versions{v.ID: v}, d, dev)
	if err != nil || other.KVDType != "f32" || whole.KV <= half.KV || other == own {
		t.Errorf("KV in f32: %+v, %+v beside %+v, %v", other, whole, half, err)
	}
	d.Options.Quant = "fp8"
	if _, _, err := r.Fit(versions{v.ID: v}, d, dev); err == nil || !strings.Contains(err.Error(), `quant: "fp8", backend cpu has only none`) {
		t.Errorf("a quantisation that cpu does not have: %v", err)
	}
	d.Options = state.EngineOptions{}
	dev.Kind = "abacus"
	if _, _, err := r.Fit(versions{v.ID: v}, d, dev); err == nil || !strings.Contains(err.Error(), `backend "abacus"`) {
		t.Errorf("unknown backend: %v", err)
	}
	if _, _, err := r.Fit(versions{}, d, dev); err == nil || !strings.Contains(err.Error(), "not recorded") {
		t.Errorf("unknown version: %v", err)
	}
}

func TestUploadResumes(t *testing.T) {
	dir, m := t.TempDir(), directory(t)
	r := open(t, dir)
	if sent, err := send(t, r, m, 5); sent != 5 || err != nil {
		t.Fatal(sent, err)
	}
	_, err := r.Commit(t.Context(), "default", "tiny", m.files)
	refused(t, err, http.StatusConflict, "chunks have not arrived")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir)
	f := m.files[slices.IndexFunc(m.files, func(f state.File) bool { return f.Path == "model.safetensors" })]
	refused(t, r.PutChunk(t.Context(), f.Digest, 0, nil), http.StatusConflict, "begin the upload again")
	chunks := 0
	for _, f := range m.files {
		chunks += len(f.Chunks)
	}
	if sent, err := send(t, r, m, 1<<20); err != nil || sent != chunks-5 {
		t.Errorf("sent %d chunks after a restart, %v; want %d", sent, err, chunks-5)
	}
	v := add(t, r, m)
	if err := r.PutChunk(t.Context(), f.Digest, 0, nil); err != nil {
		t.Errorf("a chunk of what is here already: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if meta, err := open(t, dir).Meta(v); err != nil || meta.Context != tiny.Context {
		t.Errorf("after another restart: %v", err)
	}
}

func TestWrongChunks(t *testing.T) {
	r, m := open(t, t.TempDir()), gguf(t)
	if _, err := send(t, r, m, 1); err != nil {
		t.Fatal(err)
	}
	digest := m.files[0].Digest
	refused(t, r.PutChunk(t.Context(), digest, 1, make([]byte, chunk)), http.StatusUnprocessableEntity, "chunk 1 of sha256:")
	refused(t, r.PutChunk(t.Context(), digest, 1, []byte("x")), http.StatusUnprocessableEntity, "has 1 bytes, want 65536")
	refused(t, r.PutChunk(t.Context(), digest, 99, nil), http.StatusUnprocessableEntity, "want 0 to 4")
	// Somebody announces other chunks under the same digest; the right ones still win.
	lie := gguf(t)
	lie.files[0].Chunks[2] = strings.Repeat("0", 64)
	if sent, err := send(t, r, lie, 2); sent != 2 || err != nil {
		t.Fatal(sent, err)
	}
	v := add(t, r, m)
	if _, err := r.Begin(t.Context(), "default", "tiny", lie.files); err == nil {
		t.Error("wrong chunks of a blob that is here were taken")
	} else {
		refused(t, err, http.StatusUnprocessableEntity, "chunk 2 of")
	}
	_, err := r.Commit(t.Context(), "default", "tiny", lie.files)
	refused(t, err, http.StatusUnprocessableEntity, "chunk 2 of")
	if _, err := r.Meta(v); err != nil {
		t.Error(err)
	}
}

func TestManifestIsChecked(t *testing.T) {
	r := open(t, t.TempDir())
	for words, edit := range map[string]func(f *state.File){
		`path: "../tiny.gguf"`:         func(f *state.File) { f.Path = "../tiny.gguf" },
		`path: "/etc/passwd"`:          func(f *state.File) { f.Path = "/etc/passwd" },
		`path: "a/../../b"`:            func(f *state.File) { f.Path = "a/../../b" },
		`path: ""`:                     func(f *state.File) { f.Path = "" },
		"chunk_size: 0, must be 4096":  func(f *state.File) { f.ChunkSize = 0 },
		"5 chunks, want 6":             func(f *state.File) { f.Size += chunk },
		"chunk 1: \"zz\"":              func(f *state.File) { f.Chunks[1] = "zz" },
		"want sha256: and 64":          func(f *state.File) { f.Digest = "md5:0" },
		"18446744073709551615 bytes":   func(f *state.File) { f.Size = 1<<64 - 1 },
		"so \"x/tiny.gguf\" cannot be": func(f *state.File) { f.Path = "x/tiny.gguf" },
	} {
		m := gguf(t)
		edit(&m.files[0])
		if strings.HasPrefix(words, "so") {
			m.add("x", []byte("a file where a directory must be"))
		}
		_, err := r.Begin(t.Context(), "default", "tiny", m.files)
		refused(t, err, http.StatusUnprocessableEntity, words)
		_, err = r.Commit(t.Context(), "default", "tiny", m.files)
		refused(t, err, http.StatusUnprocessableEntity, words)
	}
	_, err := r.Begin(t.Context(), "default", "tiny", nil)
	refused(t, err, http.StatusUnprocessableEntity, "files: 0")
	twice := gguf(t)
	twice.files = append(twice.files, twice.files[0])
	_, err = r.Begin(t.Context(), "default", "tiny", twice.files)
	refused(t, err, http.StatusUnprocessableEntity, "named twice")
	two := gguf(t)
	two.add("other.gguf", []byte("which one is the model?"))
	_, err = r.Begin(t.Context(), "default", "tiny", two.files)
	refused(t, err, http.StatusUnprocessableEntity, `2 are .gguf files ("tiny.gguf", "other.gguf")`)
	parts := &upload{}
	parts.add("m-00001-of-00002.gguf", []byte("one"))
	parts.add("m-00002-of-00002.gguf", []byte("two"))
	if _, err = r.Begin(t.Context(), "default", "tiny", parts.files); err != nil {
		t.Errorf("all parts of one file: %v", err)
	}
	slices.Reverse(parts.files)
	_, err = r.Begin(t.Context(), "default", "tiny", parts.files)
	refused(t, err, http.StatusUnprocessableEntity, "in their order")
}

// Files that are no model are refused in words and leave nothing behind, while what
// they share with a good version stays.
func TestNoModelIsRefused(t *testing.T) {
	r := open(t, t.TempDir())
	good := add(t, r, directory(t))
	held := len(r.blobs.List())
	whole := read(t, tiny.GGUF())
	for name, m := range map[string]func(m *upload){
		"truncated":  func(m *upload) { m.add("tiny.gguf", whole[:len(whole)/2]) },
		"header":     func(m *upload) { m.add("tiny.gguf", whole[:100]) },
		"noise":      func(m *upload) { m.add("tiny.gguf", []byte("not a model at all")) },
		"no weights": func(m *upload) { m.add("config.json", read(t, filepath.Join(tiny.Dir(), "config.json"))) },
	} {
		bad := &upload{}
		m(bad)
		if _, err := send(t, r, bad, 1<<20); err != nil {
			t.Fatal(err)
		}
		_, err := r.Commit(t.Context(), "default", "tiny", bad.files)
		refused(t, err, http.StatusUnprocessableEntity, "the files are no model that can be served")
		if strings.Contains(err.Error(), r.versions) {
			t.Errorf("%s: %q names a path of the coordinator", name, err)
		}
		if n := len(r.blobs.List()); n != held {
			t.Errorf("%s: %d blobs are here, want %d", name, n, held)
		}
		if _, err := os.Stat(filepath.Join(r.versions, VersionID("default", "tiny", bad.files))); !os.IsNotExist(err) {
			t.Errorf("%s: its directory is here: %v", name, err)
		}
	}
	delete(r.metas, good.ID)
	if _, err := r.Meta(good); err != nil {
		t.Error(err)
	}
}

func TestForget(t *testing.T) {
	r := open(t, t.TempDir())
	dir := directory(t)
	first := add(t, r, dir)
	more := directory(t)
	more.add("notes.txt", []byte("the same weights and a note"))
	second := add(t, r, more)
	if err := r.Forget([]state.Version{first}, []state.Version{first, second}); err != nil {
		t.Fatal(err)
	}
	if n := len(r.blobs.List()); n != len(more.files) {
		t.Errorf("%d blobs after forgetting what is recorded, want %d", n, len(more.files))
	}
	if err := r.Forget([]state.Version{second}, []state.Version{first}); err != nil {
		t.Fatal(err)
	}
	if n := len(r.blobs.List()); n != len(dir.files) {
		t.Errorf("%d blobs, want the %d of the first version", n, len(dir.files))
	}
	if _, err := r.Meta(first); err != nil {
		t.Error(err)
	}
	if err := r.Forget([]state.Version{first, second}, nil); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(r.versions)
	if n := len(r.blobs.List()); n != 0 || len(left) != 0 || err != nil {
		t.Errorf("%d blobs and %v are left, %v", n, left, err)
	}
	if _, err := r.Meta(first); err == nil {
		t.Error("a forgotten version can be read")
	}
}

// Several clients add the same model at once.
func TestConcurrentUploads(t *testing.T) {
	r, m := open(t, t.TempDir()), gguf(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := send(t, r, m, 1<<20); err != nil {
				t.Error(err)
			}
			if _, err := r.Commit(t.Context(), "default", "tiny", m.files); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(r.blobs.List()); n != 1 {
		t.Errorf("%d blobs, want 1", n)
	}
}

// A full disk is told in words, and the upload goes on once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r, m := open(t, filepath.Join(dir, "models")), gguf(t)
	_, err := send(t, r, m, 1)
	refused(t, err, http.StatusInsufficientStorage, "the coordinator's disk is full")
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=100m"); err != nil {
		t.Fatal(err)
	}
	add(t, r, m)
}

func TestAbandonedUploadsAreDropped(t *testing.T) {
	dir, m := t.TempDir(), gguf(t)
	r := open(t, dir)
	if _, err := send(t, r, m, 2); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "store", "partial", strings.TrimPrefix(m.files[0].Digest, "sha256:"))
	long := time.Now().Add(-abandoned - time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir)
	if list, err := r.blobs.Partials(); err != nil || len(list) != 0 {
		t.Errorf("partials %v, %v; want none", list, err)
	}
}
