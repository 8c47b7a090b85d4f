package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// store lays out an Ollama store as the program does.
type store struct {
	t   *testing.T
	dir string
}

func (s store) write(path string, b []byte) {
	s.t.Helper()
	path = filepath.Join(s.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// layer keeps a blob and describes it.
func (s store) layer(kind string, b []byte) map[string]any {
	s.write("blobs/sha256-"+digest(b), b)
	return map[string]any{"mediaType": "application/vnd.ollama.image." + kind, "digest": "sha256:" + digest(b), "size": len(b)}
}

// add names layers.
func (s store) add(path string, layers ...any) {
	config := map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:" + digest(nil), "size": 0}
	b, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": config, "layers": layers})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("manifests/"+path, b)
}

func TestOllama(t *testing.T) {
	s := store{t, t.TempDir()}
	weights := gguf(1000, 1)
	licence := s.layer("license", []byte("\n  Apache License\n  Version 2.0\n"))
	s.add("registry.ollama.ai/library/qwen3/8b", s.layer("model", weights), s.layer("template", []byte("{{ .Prompt }}")), licence, s.layer("params", []byte(`{"stop":["x"]}`)))
	s.add("registry.ollama.ai/library/qwen3/latest", s.layer("model", weights))
	s.add("registry.ollama.ai/me/mine/v1", s.layer("model", weights), s.layer("projector", []byte("p")))
	s.add("hf.co/org/name/Q4_K_M", s.layer("model", weights))
	s.add("registry.ollama.ai/library/lora/latest", s.layer("model", weights), s.layer("adapter", weights))
	s.add("registry.ollama.ai/library/two/latest", s.layer("model", weights), s.layer("model", gguf(20, 2)))
	s.add("registry.ollama.ai/library/tensors/latest", s.layer("tensor", weights))
	s.add("registry.ollama.ai/library/lost/latest", map[string]any{"mediaType": ollamaMedia + "model", "digest": "sha256:" + strings.Repeat("0", 64), "size": 1})
	s.add("registry.ollama.ai/library/evil/latest", map[string]any{"mediaType": ollamaMedia + "model", "digest": "sha256:../../../etc/passwd", "size": 1})
	s.add("registry.ollama.ai/library/short/latest", map[string]any{"mediaType": ollamaMedia + "model", "digest": "sha256:" + digest(weights), "size": 999})
	s.write("manifests/registry.ollama.ai/library/broken/latest", []byte("{"))
	for _, c := range []struct{ ref, name, source, licence, notes, err string }{
		{ref: "qwen3:8b", name: "qwen3-8b", source: "registry.ollama.ai/library/qwen3:8b", licence: "Apache License", notes: "template params"},
		{ref: "qwen3", name: "qwen3-latest", source: "registry.ollama.ai/library/qwen3:latest"},
		{ref: "me/mine:v1", name: "mine-v1", source: "registry.ollama.ai/me/mine:v1", notes: "projector"},
		{ref: "hf.co/org/name:Q4_K_M", name: "name-q4_k_m", source: "hf.co/org/name:Q4_K_M"},
		{ref: "qwen3:70b", err: "no such model in|ollama list|OLLAMA_MODELS"},
		{ref: "lora", err: "has an adapter"},
		{ref: "two", err: "has 2 layers of GGUF weights"},
		{ref: "tensors", err: "single tensors"},
		{ref: "lost", err: "a layer is missing|pull the model again"},
		{ref: "evil", err: "must be sha256: and 64 hex digits"},
		{ref: "short", err: "has 1000 bytes, its manifest says 999"},
		{ref: "broken", err: "is no manifest"},
		{ref: "../../etc:x", err: "want ollama:name[:tag]"},
		{ref: "a/b/c/d", err: "want ollama:name[:tag]"},
		{ref: "", err: "want ollama:name[:tag]"},
	} {
		m, err := Resolve(t.Context(), "ollama:"+c.ref, Options{Ollama: s.dir})
		if c.err != "" {
			refused(t, err, c.err)
			continue
		}
		if err != nil || m.Name != c.name || m.Source != "ollama:"+c.source || m.Licence != c.licence || m.Revision != "sha256:"+digest(weights) {
			t.Errorf("%s: %+v, %v", c.ref, m, err)
			continue
		}
		for note := range strings.FieldsSeq(c.notes) {
			if !strings.Contains(fmt.Sprint(m.Notes), note) {
				t.Errorf("%s: notes %q lack %s", c.ref, m.Notes, note)
			}
		}
		if err := m.Fetch(t.Context(), t.TempDir(), nil); err != nil || !m.IsLocal() {
			t.Errorf("%s: %v", c.ref, err)
		}
		if m.Files[0].SHA256 != digest(weights) || m.Files[0].Path != c.name+".gguf" {
			t.Errorf("%s: %+v", c.ref, m.Files[0])
		}
		if got, err := m.Read(t.Context(), 0, 0, 4); err != nil || !bytes.Equal(got, []byte("GGUF")) {
			t.Errorf("%s: begins with %q, %v", c.ref, got, err)
		}
	}
}

func TestOllamaStore(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("OLLAMA_MODELS", "")
	s := store{t, filepath.Join(home, ".ollama/models")}
	s.add("registry.ollama.ai/library/a/latest", s.layer("model", gguf(10, 1)))
	if _, err := Resolve(t.Context(), "ollama:a", Options{}); err != nil {
		t.Errorf("below the home directory: %v", err)
	}
	t.Setenv("OLLAMA_MODELS", filepath.Join(home, "nowhere"))
	_, err := Resolve(t.Context(), "ollama:a", Options{})
	refused(t, err, "no Ollama store|set OLLAMA_MODELS")
	t.Setenv("OLLAMA_MODELS", s.dir)
	if _, err := Resolve(t.Context(), "ollama:a", Options{}); err != nil {
		t.Errorf("where OLLAMA_MODELS says: %v", err)
	}
}
