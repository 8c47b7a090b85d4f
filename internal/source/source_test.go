package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/testing/hub"
)

func TestMain(m *testing.M) {
	firstPause = time.Millisecond
	os.Exit(m.Run())
}

// noise is n bytes that compress and repeat nowhere.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return b
}

// gguf is what begins like a GGUF file.
func gguf(n int, seed uint64) []byte { return append([]byte("GGUF"), noise(n-4, seed)...) }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// directory is a repository in Hugging Face's form, with what else lies about in one.
func directory() *hub.Repo {
	return &hub.Repo{ID: "org/model", Licence: "apache-2.0", Branches: []string{"refs/pr/1"},
		Files: map[string][]byte{
			"config.json": []byte(`{"architectures":["LlamaForCausalLM"]}`), "tokenizer.json": noise(5000, 1),
			"tokenizer_config.json": []byte(`{}`), "README.md": []byte("# hello"), ".gitattributes": []byte("*"),
			"model-00001-of-00002.safetensors": noise(300_000, 2), "model-00002-of-00002.safetensors": noise(200_000, 3),
			"model.safetensors.index.json":  []byte(`{"weight_map":{"a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}}`),
			"pytorch_model.bin":             noise(100, 4),
			"consolidated.safetensors":      noise(400_000, 5),
			"original/model.safetensors":    noise(400_000, 6),
			"onnx/model.onnx":               noise(100, 7),
			"pytorch_model.bin.index.json":  []byte(`{}`),
			"special_tokens_map.json":       []byte(`{}`),
			"model.safetensors.index.jsonl": []byte(`{}`),
		},
		LFS: []string{"tokenizer.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
	}
}

// wanted are the files of directory that make the model.
func wanted(r *hub.Repo) map[string][]byte {
	want := map[string][]byte{}
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
		"model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"} {
		want[name] = r.Files[name]
	}
	return want
}

// quants is a repository of GGUF files.
func quants() *hub.Repo {
	r := &hub.Repo{ID: "org/model-GGUF", Files: map[string][]byte{"README.md": nil}}
	for i, name := range []string{"model-Q4_K_M.gguf", "model-Q4_K_S.gguf", "model.q8_0.gguf", "mmproj-model-Q8_0.gguf",
		"BF16/model-BF16-00001-of-00002.gguf", "BF16/model-BF16-00002-of-00002.gguf", "model-UD-Q2_K.gguf", "model-Q2_K.gguf"} {
		r.Files[name] = gguf(1000+i, uint64(i))
		r.LFS = append(r.LFS, name)
	}
	return r
}

func resolve(t *testing.T, ref string, o Options) *Model {
	t.Helper()
	m, err := Resolve(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// same checks that every file of m is here and what it should be.
func same(t *testing.T, m *Model, want map[string][]byte) {
	t.Helper()
	if len(m.Files) != len(want) {
		t.Errorf("%d files, want %d", len(m.Files), len(want))
	}
	for _, f := range m.Files {
		got, err := os.ReadFile(f.Local)
		if err != nil || !bytes.Equal(got, want[f.Path]) {
			t.Errorf("%s at %q: %d bytes, %v; want %d", f.Path, f.Local, len(got), err, len(want[f.Path]))
		}
	}
}

// refused checks that err says everything that words say, separated by bars.
func refused(t *testing.T, err error, words string) {
	t.Helper()
	for w := range strings.SplitSeq(words, "|") {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v; want %q", err, w)
		}
	}
}

func TestHubDirectory(t *testing.T) {
	repo := directory()
	s := hub.Start(t, repo)
	for _, ref := range []string{"hf:org/model", "hf:org/model@main", "hf:org/model@refs/pr/1", "hf:org/model@" + repo.Commit,
		s.URL + "/org/model", s.URL + "/org/model/tree/main"} {
		m := resolve(t, ref, Options{Endpoint: s.URL})
		if m.Source != "hf:org/model" || m.Revision != repo.Commit || m.Licence != "apache-2.0" || m.Name != "model" {
			t.Errorf("%s: %+v", ref, m)
		}
		var mu sync.Mutex
		var last, total uint64
		progress := func(d, n uint64) {
			mu.Lock()
			defer mu.Unlock()
			last, total = max(last, d), n
		}
		if err := m.Fetch(t.Context(), t.TempDir(), progress); err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		same(t, m, wanted(repo))
		if last != total || total != m.Bytes() {
			t.Errorf("progress ended at %d of %d, the model has %d", last, total, m.Bytes())
		}
		dir := filepath.Dir(m.Files[0].Local)
		if err := m.Discard(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after Discard: %v", dir, err)
		}
	}
}

func TestHubChoice(t *testing.T) {
	repo := quants()
	s := hub.Start(t, repo,
		&hub.Repo{ID: "org/one", Files: map[string][]byte{"a/one.gguf": gguf(10, 1)}, LFS: []string{"a/one.gguf"}},
		&hub.Repo{ID: "org/pickle", Files: map[string][]byte{"config.json": {}, "pytorch_model.bin": {}}},
		&hub.Repo{ID: "org/notok", Files: map[string][]byte{"config.json": {}, "model.safetensors": {}}},
		&hub.Repo{ID: "org/none", Files: map[string][]byte{"README.md": {}}},
		&hub.Repo{ID: "org/cut", Files: map[string][]byte{"m-00001-of-00002.gguf": gguf(10, 1)}, LFS: []string{"m-00001-of-00002.gguf"}},
		&hub.Repo{ID: "org/evil", Files: map[string][]byte{"../../evil.gguf": {}}},
		&hub.Repo{ID: "org/evil2", Files: map[string][]byte{`..\evil.gguf`: {}, "model.safetensors": {}}},
		&hub.Repo{ID: "org/index", Files: map[string][]byte{"config.json": {}, "tokenizer.json": {},
			"model.safetensors.index.json": []byte(`{"weight_map":{"a":"../../etc/passwd"}}`)}},
	)
	for _, c := range []struct{ ref, file, want, err string }{
		{ref: "hf:org/model-GGUF:Q4_K_M", want: "model-Q4_K_M.gguf"},
		{ref: "hf:org/model-GGUF:q4_k_m", want: "model-Q4_K_M.gguf"},
		{ref: "hf:org/model-GGUF:Q8_0", want: "model.q8_0.gguf"},
		{ref: "hf:org/model-GGUF@main:BF16", want: "model-BF16-00001-of-00002.gguf model-BF16-00002-of-00002.gguf"},
		{ref: "hf:org/model-GGUF:UD-Q2_K", want: "model-UD-Q2_K.gguf"},
		{ref: "hf:org/one", want: "one.gguf"},
		{ref: s.URL + "/org/one/blob/main/a/one.gguf", want: "one.gguf"},
		{ref: s.URL + "/org/one/resolve/main/a/one.gguf?download=true", want: "one.gguf"},
		{ref: "hf:org/model-GGUF", file: "BF16/model-BF16-00001-of-00002.gguf", want: "model-BF16-00001-of-00002.gguf model-BF16-00002-of-00002.gguf"},
		{ref: "hf:org/model-GGUF", err: "holds 6 GGUF files|:Q4_K_M|--file|model-Q4_K_S.gguf"},
		{ref: "hf:org/model-GGUF:Q4_K", err: `no GGUF file of quantisation "Q4_K"|model-Q4_K_M.gguf`},
		{ref: "hf:org/model-GGUF:Q2_K", err: "has 2 GGUF files|--file"},
		{ref: "hf:org/model-GGUF", file: "x.gguf", err: `no file "x.gguf"`},
		{ref: "hf:org/model-GGUF", file: "README.md", err: "only a .gguf file is a model by itself"},
		{ref: "hf:org/model-GGUF", file: "BF16/model-BF16-00002-of-00002.gguf", err: "is part 2 of 2; name the first part, model-BF16-00001-of-00002.gguf"},
		{ref: "hf:org/pickle", err: "pytorch_model.bin is a pickle file|run code"},
		{ref: "hf:org/pickle", file: "pytorch_model.bin", err: "pickle"},
		{ref: "hf:org/notok", err: "has no tokenizer.json"},
		{ref: "hf:org/none", err: "neither model.safetensors nor a .gguf file"},
		{ref: "hf:org/cut", err: "m-00002-of-00002.gguf is missing"},
		{ref: "hf:org/evil", err: `"../../evil.gguf", which is no clean path`},
		{ref: "hf:org/evil2", err: `no clean path`},
		{ref: "hf:org/index", err: "no clean path"},
		{ref: "hf:org/nobody", err: "not there, or private|HF_TOKEN"},
		{ref: "hf:org/one@v9", err: `no revision "v9"`},
		{ref: "hf:org", want: "", err: "not there"},
		{ref: "hf:../etc", err: "no repository"},
		{ref: "hf:a/b/c", err: "want hf:org/name"},
		{ref: "hf:org/one@../x", err: "no revision"},
		{ref: "hf:org/one:", err: "nothing follows the colon"},
		{ref: "ftp://x/y", err: "no source of models|ollama:name"},
	} {
		m, err := Resolve(t.Context(), c.ref, Options{Endpoint: s.URL, File: c.file})
		if c.err != "" {
			refused(t, err, c.err)
			continue
		}
		var got []string
		if err == nil {
			for _, f := range m.Files {
				got = append(got, f.Path)
			}
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s %s: %q, %v; want %q", c.ref, c.file, got, err, c.want)
		}
	}
}

// The token reaches the Hub's own host and nobody else, and a refusal says what to do.
func TestToken(t *testing.T) {
	gated := directory()
	gated.ID, gated.Gated = "org/gated", true
	secret := directory()
	secret.ID, secret.Private = "org/private", true
	s := hub.Start(t, gated, secret)
	for _, c := range []struct{ ref, token, err string }{
		{"hf:org/gated", s.Token, ""},
		{"hf:org/private", s.Token, ""},
		{"hf:org/gated", "", "is gated|accept its terms at " + s.URL + "/org/gated|set HF_TOKEN|--token-file"},
		{"hf:org/gated", "hf_other", "is gated|the token given may not read it"},
		{"hf:org/private", "", "not there, or private|set HF_TOKEN"},
		{"hf:org/private", "hf_other", "not there: check the name"},
	} {
		m, err := Resolve(t.Context(), c.ref, Options{Endpoint: s.URL, Token: c.token})
		if err == nil {
			err = m.Fetch(t.Context(), t.TempDir(), nil)
		}
		if c.err == "" && err != nil {
			t.Errorf("%s with %q: %v", c.ref, c.token, err)
		} else if c.err != "" {
			refused(t, err, c.err)
		}
		if err != nil && c.token != "" && strings.Contains(err.Error(), c.token) {
			t.Errorf("the token is in %q", err)
		}
	}
	front, store := 0, 0
	for _, r := range s.Requests() {
		if r.Host == s.Store {
			store++
			if r.Authorization != "" {
				t.Errorf("the large store saw %q for %s", r.Authorization, r.Path)
			}
		} else if r.Authorization == "Bearer "+s.Token {
			front++
		}
	}
	if front == 0 || store == 0 {
		t.Errorf("%d requests with the token, %d to the large store", front, store)
	}
}

func TestHubToken(t *testing.T) {
	dir := t.TempDir()
	for _, e := range []string{"HF_TOKEN", "HF_TOKEN_PATH", "XDG_CACHE_HOME"} {
		t.Setenv(e, "")
	}
	t.Setenv("HF_HOME", dir)
	if token, err := HubToken(); token != "" || err != nil {
		t.Errorf("none: %q, %v", token, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if token, err := HubToken(); token != "hf_file" || err != nil {
		t.Errorf("of HF_HOME: %q, %v", token, err)
	}
	t.Setenv("HF_TOKEN", "hf_env")
	if token, err := HubToken(); token != "hf_env" || err != nil {
		t.Errorf("of HF_TOKEN: %q, %v", token, err)
	}
	t.Setenv("HF_TOKEN", "hf_a\nX-Header: evil")
	if _, err := HubToken(); err == nil || strings.Contains(err.Error(), "hf_a") {
		t.Errorf("a token of two lines: %v", err)
	}
}

// Tokens do not travel in the clear.
func TestTokenNeedsTLS(t *testing.T) {
	for endpoint, want := range map[string]string{"https://hub.example": "hf_x", "http://127.0.0.1:1": "hf_x", "http://localhost": "hf_x", "http://hub.example": ""} {
		o := Options{Endpoint: endpoint, Token: "hf_x", Transport: nobody{}}
		_, err := Resolve(t.Context(), "hf:org/name", o)
		var seen *sawToken
		if !errors.As(err, &seen) || seen.token != strings.TrimSpace("Bearer "+want) && (want != "" || seen.token != "") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	_, err := Resolve(t.Context(), "hf:org/name", Options{Endpoint: "hub.example"})
	refused(t, err, "must be an http(s) address")
}

func TestPlainNames(t *testing.T) {
	for ref, want := range map[string]string{
		"hf:Qwen/Qwen3-8B": "qwen3-8b", "hf:Qwen/Qwen3-8B-GGUF:Q4_K_M": "qwen3-8b-q4_k_m", "ollama:qwen3:8b": "qwen3-8b", "ollama:me/qwen3": "qwen3-latest",
		"https://h/a/B-Q8_0.gguf?x=1": "b-q8_0", "https://h/m-00001-of-00003.gguf": "m", "hf:": "",
	} {
		if got := ShortName(ref); got != want {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
		if !IsRemote(ref) {
			t.Errorf("%s is not remote", ref)
		}
	}
	for _, path := range []string{"a.gguf", "/x/hf", "./hf:x", "C", "hf"} {
		if IsRemote(path) {
			t.Errorf("%s is remote", path)
		}
	}
}

func TestBusyAndSpace(t *testing.T) {
	s := hub.Start(t, directory())
	m, cache := resolve(t, "hf:org/model", Options{Endpoint: s.URL}), t.TempDir()
	_, unlock, err := m.open(cache)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context(), cache, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("while another fetches: %v", err)
	}
	unlock()
	defer func(f func(string) (uint64, error)) { freeBytes = f }(freeBytes)
	freeBytes = func(string) (uint64, error) { return m.Bytes() - 1, nil }
	var full *SpaceError
	if err := m.Fetch(t.Context(), cache, nil); !errors.As(err, &full) || full.Need != m.Bytes() {
		t.Errorf("with a byte too few: %v", err)
	}
	freeBytes = func(string) (uint64, error) { return m.Bytes(), nil }
	if err := m.Fetch(t.Context(), cache, nil); err != nil {
		t.Error(err)
	}
	freeBytes = func(string) (uint64, error) { return 0, nil }
	again := resolve(t, "hf:org/model", Options{Endpoint: s.URL})
	if err := again.Fetch(t.Context(), cache, nil); err != nil {
		t.Errorf("when all is here, no room is needed: %v", err)
	}
}

// Downloads that nobody went on with go, those that may yet be wanted stay.
func TestPrune(t *testing.T) {
	cache := t.TempDir()
	old := time.Now().Add(-2 * abandoned)
	for name, when := range map[string]time.Time{"old": old, "held": old, "new": time.Now()} {
		dir := filepath.Join(cache, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{lockFile, "a.part"} {
			if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(dir, file), when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	held, err := os.Open(filepath.Join(cache, "held", lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	lock(t, held)
	prune(cache, time.Now().Add(-abandoned))
	entries, err := os.ReadDir(cache)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if err != nil || !slices.Equal(left, []string{"held", "new"}) {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestCalledOff(t *testing.T) {
	s := hub.Start(t, directory())
	m := resolve(t, "hf:org/model", Options{Endpoint: s.URL})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Fetch(ctx, t.TempDir(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestLicences(t *testing.T) {
	for _, c := range []struct {
		card card
		want string
	}{
		{card{License: "mit"}, "mit"}, {card{License: "other", LicenseName: "llama3.1"}, "llama3.1"}, {card{License: "other"}, "other"},
		{card{License: []any{"mit", "bsd"}}, "mit, bsd"}, {card{}, ""}, {card{License: "a\nb\x00"}, "a.b."},
	} {
		if got := c.card.licence(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.card, got, c.want)
		}
	}
}
