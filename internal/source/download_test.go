package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/testing/hub"
)

// cutter lets some bytes of a body through and then closes the connection.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	_, _ = c.ResponseWriter.Write(b[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// cuts lets each answer of the large store be cut after as many bytes as next says; a
// negative number lets it be.
func cuts(next func() int) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n := next(); n >= 0 {
				w = &cutter{w, n}
			}
			h.ServeHTTP(w, r)
		})
	}
}

// Wherever connections are cut, and however often the program is started anew, the
// bytes are right in the end and none that is here is asked for again.
func TestCuts(t *testing.T) {
	for seed := range uint64(25) {
		repo := directory()
		s := hub.Start(t, repo)
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 0))
		faults := random.IntN(25)
		s.Fault = cuts(func() int {
			mu.Lock()
			defer mu.Unlock()
			if faults--; faults < 0 {
				return -1
			}
			if random.IntN(4) == 0 {
				return random.IntN(4) // next to nothing
			}
			return random.IntN(200_000)
		})
		same(t, fetchStubbornly(t, s.URL), wanted(repo))
		from := map[string]uint64{}
		for _, r := range s.Requests() {
			var at uint64
			_, _ = fmt.Sscanf(r.Range, "bytes=%d-", &at)
			if r.Host == s.Store && at < from[r.Path] {
				t.Errorf("seed %d: %s: asked for byte %d after byte %d", seed, r.Path, at, from[r.Path])
			}
			from[r.Path] = at
		}
	}
}

// fetchStubbornly runs the same command again and again until it succeeds.
func fetchStubbornly(t *testing.T, hub string) *Model {
	t.Helper()
	cache := t.TempDir()
	for range 30 {
		m := resolve(t, "hf:org/model", Options{Endpoint: hub})
		err := m.Fetch(t.Context(), cache, nil)
		if err == nil {
			return m
		}
		refused(t, err, "run the same command again to go on from there")
	}
	t.Fatal("30 runs were not enough")
	return nil
}

// A cut download asks for the rest only.
func TestResumesWhereItStopped(t *testing.T) {
	repo := directory()
	s := hub.Start(t, repo)
	var answers atomic.Int32
	s.Fault = cuts(func() int { answers.Add(1); return 100_000 })
	cache := t.TempDir()
	m := resolve(t, "hf:org/model", Options{Endpoint: s.URL})
	if err := m.Fetch(t.Context(), cache, nil); err != nil {
		t.Fatal(err)
	}
	asked := map[string]string{}
	for _, r := range s.Requests() {
		if r.Host == s.Store {
			asked[r.Path] += r.Range + " "
		}
	}
	want := map[string]string{
		"/repos/org/model/model-00001-of-00002.safetensors": " bytes=100000- bytes=200000- ",
		"/repos/org/model/model-00002-of-00002.safetensors": " bytes=100000- ",
		"/repos/org/model/tokenizer.json":                   " ",
	}
	for path, ranges := range want {
		if asked[path] != ranges {
			t.Errorf("%s: asked for %q, want %q", path, asked[path], ranges)
		}
	}
}

// Bytes that an earlier run left are not believed: a damaged one costs another try.
func TestDamagedPart(t *testing.T) {
	repo := directory()
	s := hub.Start(t, repo)
	cache := t.TempDir()
	m := resolve(t, "hf:org/model", Options{Endpoint: s.URL})
	dir, unlock, err := m.open(cache)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	const name = "model-00001-of-00002.safetensors"
	for left, length := range map[string]int{"damaged": 1000, "longer than the file": 400_000, "damaged, whole": 300_000} {
		if err := os.WriteFile(filepath.Join(dir, name+partSuffix), make([]byte, length), 0o600); err != nil {
			t.Fatal(err)
		}
		m := resolve(t, "hf:org/model", Options{Endpoint: s.URL})
		if err := m.Fetch(t.Context(), cache, nil); err != nil {
			t.Errorf("%s: %v", left, err)
			continue
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, repo.Files[name]) {
			t.Errorf("%s: %d bytes, %v", left, len(got), err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// A store that serves other bytes than the Hub announced is found out.
func TestWrongDigest(t *testing.T) {
	for _, name := range []string{"model-00001-of-00002.safetensors", "config.json"} { // sha256, git
		repo := directory()
		s := hub.Start(t, repo)
		m := resolve(t, "hf:org/model", Options{Endpoint: s.URL})
		repo.Files[name] = append([]byte{'!'}, repo.Files[name][1:]...)
		cache := t.TempDir()
		var wrong *DigestError
		if err := m.Fetch(t.Context(), cache, nil); !errors.As(err, &wrong) || wrong.File != name {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(m.dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the wrong bytes got the file's name: %v", name, err)
		}
	}
}

// site of tests: one handler, whose address ends in /model.gguf.
func serveFile(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/dir/model.gguf"
}

func content(b []byte, tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

func TestURL(t *testing.T) {
	whole := gguf(500_000, 1)
	for name, c := range map[string]struct {
		h      http.HandlerFunc
		sha256 string
	}{
		"with ETag":   {content(whole, `"v1"`), ""},
		"with sha256": {content(whole, ""), digest(whole)},
		"no ranges": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			_, _ = w.Write(whole)
		}, ""},
	} {
		address := serveFile(t, c.h)
		m := resolve(t, address+"?secret=1", Options{SHA256: c.sha256})
		if m.Source != address || m.Name != "model" || strings.Contains(m.Source+m.Revision, "secret") {
			t.Errorf("%s: %+v", name, m)
		}
		if (m.Revision == "") != (name == "no ranges") {
			t.Errorf("%s: revision %q", name, m.Revision)
		}
		if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, m, map[string][]byte{"model.gguf": whole})
	}
}

// Cut downloads from servers of every sort end with the right bytes.
func TestURLCut(t *testing.T) {
	whole := gguf(300_000, 1)
	plain := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		_, _ = w.Write(whole)
	}
	chunked := func(w http.ResponseWriter, r *http.Request) { // no length after the probe
		if strings.HasSuffix(r.Header.Get("Range"), "-15") {
			content(whole, `"c"`)(w, r)
			return
		}
		w.Header().Set("ETag", `"c"`)
		_, _ = w.Write(whole)
		_ = http.NewResponseController(w).Flush()
	}
	weak := content(whole, `W/"x"`)
	for name, h := range map[string]http.HandlerFunc{"ETag": content(whole, `"a"`), "plain": plain, "chunked": chunked, "weak": weak} {
		n := 0
		var mu sync.Mutex
		address := serveFile(t, cuts(func() int {
			mu.Lock()
			defer mu.Unlock()
			if n++; n > 1 && n < 6 { // the first is the probe
				return 40_000 * n
			}
			return -1
		})(h).ServeHTTP)
		m := resolve(t, address, Options{})
		if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, m, map[string][]byte{"model.gguf": whole})
	}
}

func TestURLRefusals(t *testing.T) {
	whole := gguf(100_000, 1)
	loop := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"?again", http.StatusFound)
	}
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<html>please log in</html>")
	}
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	for name, c := range map[string]struct {
		h      http.HandlerFunc
		sha256 string
		err    string
	}{
		"loop":        {loop, "", "redirected more than 10 times"},
		"html":        {html, "", "an HTML page instead of a file"},
		"404":         {status(404), "", "answers 404 Not Found"},
		"503":         {status(503), "", "answers 503"},
		"no GGUF":     {content(noise(100, 1), ""), "", "not with GGUF"},
		"empty":       {content(nil, ""), "", "no bytes"},
		"bad sha256":  {content(whole, ""), "XYZ", "must be 64 hex digits"},
		"other bytes": {content(whole, ""), digest(whole[1:]), "its digest is " + digest(whole)},
		"scheme": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(302)
		}, "", "redirects to a file: address"},
		"nowhere": {status(302), "", "without a place to go to"},
		"encoding": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			content(whole, "")(w, r)
		}, "", `encoding "br"`},
		"range": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); _, _ = w.Write(whole) }, "", "does not say how large"},
	} {
		address := serveFile(t, c.h)
		m, err := Resolve(t.Context(), address, Options{SHA256: c.sha256})
		if err == nil {
			err = m.Fetch(t.Context(), t.TempDir(), nil)
		}
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v; want %q", name, err, c.err)
		}
	}
	for address, want := range map[string]string{
		"http://h/pytorch_model.bin":         "pickle",
		"http://h/model.safetensors":         "name the directory",
		"http://h/m-00002-of-00003.gguf":     "name the first part, m-00001-of-00003.gguf",
		"http:///x.gguf":                     "is no address",
		"http://%zz/x.gguf":                  "is no address",
		"http://127.0.0.1:1/x.gguf":          "refused",
		"https://name.invalid/x.gguf":        "name.invalid",
		"http://h/m-00001-of-99999.gguf":     "99999 parts, at most 4096",
		"http://127.0.0.1:1/x.gguf?secret=1": "127.0.0.1:1",
	} {
		_, err := Resolve(t.Context(), address, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want %q", address, err, want)
		}
	}
}

// From https nothing leads to http.
func TestDowngrade(t *testing.T) {
	open := serveFile(t, content(gguf(100, 1), ""))
	safe := httptest.NewTLSServer(http.RedirectHandler(open, http.StatusFound))
	t.Cleanup(safe.Close)
	_, err := Resolve(t.Context(), safe.URL+"/model.gguf", Options{Transport: safe.Client().Transport})
	refused(t, err, "redirects from https to http|not followed")
	if _, err := Resolve(t.Context(), safe.URL+"/model.gguf", Options{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

// A file that changes under the download is never made of two.
func TestChangedMeanwhile(t *testing.T) {
	before, after := gguf(300_000, 1), gguf(300_000, 2)
	n := 0
	h := cuts(func() int {
		if n++; n == 2 {
			return 100_000
		}
		return -1
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n <= 2 {
			content(before, `"one"`)(w, r)
		} else {
			content(after, `"two"`)(w, r)
		}
	}))
	m := resolve(t, serveFile(t, h.ServeHTTP), Options{})
	refused(t, m.Fetch(t.Context(), t.TempDir(), nil), "changed at its source")
}

// More or fewer bytes than were announced are no file.
func TestSizes(t *testing.T) {
	whole := gguf(100_000, 1)
	for name, length := range map[string]int{"more": 100_001, "fewer": 99_999} {
		probe := true
		address := serveFile(t, func(w http.ResponseWriter, r *http.Request) {
			if probe {
				probe = false
				content(whole, "")(w, r)
				return
			}
			_, _ = w.Write(append(whole, '!')[:length])
			if name == "more" {
				_ = http.NewResponseController(w).Flush() // no length is announced
			}
		})
		m := resolve(t, address, Options{})
		err := m.Fetch(t.Context(), t.TempDir(), nil)
		if name == "fewer" {
			refused(t, err, "bytes|run the same command again")
			continue
		}
		refused(t, err, "the source announced 100000")
	}
}

// A server that falls silent is left and asked again.
func TestStall(t *testing.T) {
	whole := gguf(100_000, 1)
	n, done := 0, make(chan struct{})
	address := serveFile(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n != 2 {
			content(whole, `"a"`)(w, r)
			return
		}
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		_, _ = w.Write(whole[:50_000])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-done:
		}
	})
	defer close(done)
	m := resolve(t, address, Options{Stall: time.Second})
	if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	same(t, m, map[string][]byte{"model.gguf": whole})
	if n != 3 {
		t.Errorf("asked %d times", n)
	}
}

// A server that asks for patience gets it.
func TestRetryAfter(t *testing.T) {
	whole := gguf(1000, 1)
	n := 0
	address := serveFile(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 2 || n == 3 {
			w.WriteHeader([]int{http.StatusTooManyRequests, http.StatusBadGateway}[n-2])
			return
		}
		content(whole, `"a"`)(w, r)
	})
	m := resolve(t, address, Options{})
	if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil || n != 4 {
		t.Errorf("asked %d times: %v", n, err)
	}
}

// What a file server of a Hugging Face directory has is found without a listing.
func TestURLDirectory(t *testing.T) {
	repo := directory()
	dir := t.TempDir()
	for name, b := range repo.Files {
		if strings.Contains(name, "/") {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(http.StripPrefix("/m", http.FileServer(http.Dir(dir))))
	t.Cleanup(s.Close)
	for _, ref := range []string{s.URL + "/m", s.URL + "/m/"} {
		m := resolve(t, ref, Options{})
		if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil {
			t.Fatal(err)
		}
		same(t, m, wanted(repo))
	}
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, err := Resolve(t.Context(), s.URL+"/m", Options{})
	refused(t, err, "model-00002-of-00002.safetensors: answers 404")
	_, err = Resolve(t.Context(), s.URL+"/nothing", Options{})
	refused(t, err, "names a .gguf file, or a directory that holds config.json")
	_, err = Resolve(t.Context(), s.URL+"/m", Options{SHA256: digest(nil)})
	refused(t, err, "is for the address of one file")
}

// All parts of a split file come, by the names of their kind.
func TestURLParts(t *testing.T) {
	parts := map[string][]byte{"m-00001-of-00003.gguf": gguf(100, 1), "m-00002-of-00003.gguf": gguf(200, 2), "m-00003-of-00003.gguf": gguf(300, 3)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := parts[filepath.Base(r.URL.Path)]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		content(b, "")(w, r)
	}))
	t.Cleanup(s.Close)
	m := resolve(t, s.URL+"/a/m-00001-of-00003.gguf", Options{})
	if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	same(t, m, parts)
	if m.Name != "m" {
		t.Errorf("name %q", m.Name)
	}
	_, err := Resolve(t.Context(), s.URL+"/a/m-00001-of-00003.gguf", Options{SHA256: digest(nil)})
	refused(t, err, "is for one file")
	delete(parts, "m-00002-of-00003.gguf")
	_, err = Resolve(t.Context(), s.URL+"/a/m-00001-of-00003.gguf", Options{})
	refused(t, err, "m-00002-of-00003.gguf: answers 404")
}

// Parts of files are read without the rest, from whatever server.
func TestRead(t *testing.T) {
	whole := gguf(100_000, 1)
	plain := serveFile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		_, _ = io.Copy(w, bytes.NewReader(whole))
	})
	for name, address := range map[string]string{"ranges": serveFile(t, content(whole, `"a"`)), "plain": plain} {
		m := resolve(t, address, Options{})
		for _, span := range [][2]uint64{{0, 4}, {99_000, 1000}, {5, 0}, {0, 100_000}} {
			got, err := m.Read(t.Context(), 0, span[0], span[1])
			if err != nil || !bytes.Equal(got, whole[span[0]:span[0]+span[1]]) {
				t.Errorf("%s: %v: %d bytes, %v", name, span, len(got), err)
			}
		}
		_, err := m.Read(t.Context(), 0, 99_999, 2)
		refused(t, err, "it has 100000 bytes")
	}
}

// Answers that do not fit what was asked for are no bytes of the file.
func TestMisfits(t *testing.T) {
	whole := gguf(100_000, 1)
	refuseRange := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Range"), "bytes=50000-") {
			w.Header().Set("Content-Range", "bytes */100000")
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		content(whole, `"a"`)(w, r)
	}
	answer := func(contentRange string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.Header.Get("Range"), "bytes=50000-") {
				content(whole, `"a"`)(w, r)
				return
			}
			w.Header().Set("ETag", `"a"`)
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(whole[50_000:])
		}
	}
	for name, c := range map[string]struct {
		h   http.HandlerFunc
		err string
	}{
		"416":           {refuseRange, ""},
		"another start": {answer("bytes 40000-99999/100000"), "asked for byte 50000"},
		"another total": {answer("bytes 50000-99999/100001"), "has 100001 bytes, the source announced 100000"},
		"no range":      {answer("nonsense"), `answers with "nonsense"`},
		"no total":      {answer("bytes 50000-99999/*"), ""},
	} {
		n := 0
		address := serveFile(t, cuts(func() int {
			if n++; n == 2 {
				return 50_000
			}
			return -1
		})(c.h).ServeHTTP)
		m := resolve(t, address, Options{})
		err := m.Fetch(t.Context(), t.TempDir(), nil)
		if c.err != "" {
			refused(t, err, c.err)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			same(t, m, map[string][]byte{"model.gguf": whole})
		}
	}
}
