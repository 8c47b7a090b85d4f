package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ollamaName is host/namespace/model:tag, whose first two parts and last have defaults.
type ollamaName struct{ host, namespace, model, tag string }

var ollamaPart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func parseOllama(s string) (ollamaName, error) {
	n := ollamaName{host: "registry.ollama.ai", namespace: "library", tag: "latest"}
	rest := s
	if at := strings.LastIndexByte(s, ':'); at > strings.LastIndexByte(s, '/') {
		rest, n.tag = s[:at], s[at+1:]
	}
	parts := strings.Split(rest, "/")
	n.model = parts[len(parts)-1]
	if len(parts) > 1 {
		n.namespace = parts[len(parts)-2]
	}
	if len(parts) > 2 {
		n.host = parts[0]
	}
	host := strings.ReplaceAll(n.host, ":", "-") // a port is the one place for a colon
	for _, p := range []string{host, n.namespace, n.model, n.tag} {
		if !ollamaPart.MatchString(p) || len(parts) > 3 || len(p) > 128 {
			return n, fmt.Errorf("ollama:%s: want ollama:name[:tag], as `ollama list` shows it", clip(s))
		}
	}
	return n, nil
}

func (n ollamaName) shortName() string { return plainName(n.model + "-" + n.tag) }

// manifest lists the layers of a model in the store.
type manifest struct {
	Layers []layer `json:"layers"`
}

type layer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      uint64 `json:"size"`
}

// ollamaMedia begins the media type of a layer of the store.
const ollamaMedia = "application/vnd.ollama.image."

// resolveOllama reads a model out of the store; its weights are a GGUF file, which has
// a tokenizer and a chat template of its own.
func resolveOllama(s string, o Options) (*Model, error) {
	name, err := parseOllama(s)
	if err != nil {
		return nil, err
	}
	store, err := ollamaStore(o)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(store, "manifests", name.host, name.namespace, name.model, name.tag)
	m, err := readManifest(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("ollama:%s: no such model in %s (looked for %s); `ollama list` shows what there is, OLLAMA_MODELS says where", s, store, path)
	}
	if err != nil {
		return nil, err
	}
	out := &Model{Source: "ollama:" + strings.Join([]string{name.host, name.namespace, name.model + ":" + name.tag}, "/"), Name: name.shortName()}
	for _, l := range m.Layers {
		if err := out.layer(store, l); err != nil {
			return nil, fmt.Errorf("ollama:%s: %w", s, err)
		}
	}
	if len(out.Files) != 1 {
		return nil, fmt.Errorf("ollama:%s: %s has %d layers of GGUF weights, must be one", s, path, len(out.Files))
	}
	out.Files[0].Path = out.Name + ".gguf"
	out.Revision = "sha256:" + out.Files[0].SHA256
	return out, nil
}

// ollamaStore finds the store: of the user, or of a service.
func ollamaStore(o Options) (string, error) {
	dirs := []string{o.Ollama}
	if o.Ollama == "" {
		dirs = []string{os.Getenv("OLLAMA_MODELS")}
	}
	if dirs[0] == "" {
		dirs = []string{filepath.Join(os.Getenv("HOME"), ".ollama", "models"), "/usr/share/ollama/.ollama/models", "/var/lib/ollama/models"}
	}
	var failed error
	for _, dir := range dirs {
		if _, err := os.ReadDir(filepath.Join(dir, "manifests")); err == nil {
			return dir, nil
		} else if failed == nil {
			failed = err
		}
	}
	return "", fmt.Errorf("no Ollama store: %w; set OLLAMA_MODELS to its directory, the one that holds manifests and blobs", failed)
}

func readManifest(path string) (manifest, error) {
	var m manifest
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%s: is no manifest: %w", path, err)
	}
	return m, nil
}

// layer takes what a layer means for us.
func (m *Model) layer(store string, l layer) error {
	kind, _ := strings.CutPrefix(l.MediaType, ollamaMedia)
	switch kind {
	case "model":
		f, err := l.file(store)
		m.Files = append(m.Files, f)
		return err
	case "license":
		return m.ollamaLicence(store, l)
	case "adapter":
		return errors.New("it has an adapter, which changes what the weights compute and is not supported; merge it first")
	case "tensor":
		return errors.New("its weights are not a GGUF file but single tensors, which are not supported; take the model from its Hub")
	case "projector":
		m.Notes = append(m.Notes, "its projector of images is left out: text alone is served")
	case "template", "params", "system", "messages":
		m.Notes = append(m.Notes, "its "+kind+" layer is left out: the GGUF file's own chat template is used, and requests say the rest")
	}
	return nil
}

// file checks that a layer's blob is there and has its size; its digest is verified
// when it is read.
func (l layer) file(store string) (File, error) {
	digest, ok := strings.CutPrefix(strings.Replace(l.Digest, "-", ":", 1), "sha256:")
	if !ok || !sha256Form.MatchString(digest) {
		return File{}, fmt.Errorf("digest %q of a layer: must be sha256: and 64 hex digits", clip(l.Digest))
	}
	f := File{SHA256: digest, Size: l.Size, Local: filepath.Join(store, "blobs", "sha256-"+digest)}
	info, err := os.Stat(f.Local)
	if err != nil {
		return f, fmt.Errorf("a layer is missing, so the store is incomplete: %w; pull the model again", err)
	}
	if !info.Mode().IsRegular() || uint64(info.Size()) != l.Size {
		return f, fmt.Errorf("%s has %d bytes, its manifest says %d; pull the model again", f.Local, info.Size(), l.Size)
	}
	return f, nil
}

// ollamaLicence takes the title of a licence's text.
func (m *Model) ollamaLicence(store string, l layer) error {
	f, err := l.file(store)
	if err != nil {
		return err
	}
	r, err := os.Open(f.Local)
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewScanner(io.LimitReader(r, 4<<10))
	for lines.Scan() {
		if title := strings.TrimSpace(lines.Text()); title != "" && m.Licence == "" {
			m.Licence = clip(title)
		}
	}
	return nil // a longer line than can be read is no title
}
