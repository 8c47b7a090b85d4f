package source

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
)

// Model is what a reference resolved to.
type Model struct {
	Source   string // canonical, without credentials: "hf:org/name"
	Revision string // what pins its content: a commit, a digest, an ETag; "" for none
	Licence  string // as the source names it; may be empty
	Name     string // what a fleet may call it
	Files    []File
	Notes    []string // what is left out, and why

	web     *web
	explain func(error) error // says what to do about a refusal; nil for nothing
	dir     string            // of the download, once begun
}

// File is one file of a model.
type File struct {
	Path   string // within the model
	Size   uint64
	SHA256 string // hex; "" where the source does not say
	Local  string // where it lies on this machine; "" until it is fetched

	url       string
	git       string // hex name of the git blob, where that is the digest there is
	validator string // strong ETag or date: pins the content of a URL; "" for none
	pinned    bool   // the url itself pins the content
}

// Options of Resolve.
type Options struct {
	Endpoint string // of the Hub; default: https://huggingface.co
	Token    string // for the Hub's endpoint alone
	File     string // the one file of a repository to take
	SHA256   string // hex digest that the file of a URL must have
	Ollama   string // directory of an Ollama store; default: where Ollama keeps it
	// Transport carries requests; default: one that honours proxy settings.
	Transport http.RoundTripper
	// Stall is how long a download may give nothing before it is begun anew.
	Stall time.Duration
}

// DefaultEndpoint is the public Hub.
const DefaultEndpoint = "https://huggingface.co"

// Forms are the references that Resolve takes, for messages.
const Forms = "hf:org/name[@revision][:QUANTISATION], an http(s) URL of a .gguf file or of a model directory, or ollama:name[:tag]"

// IsRemote tells whether ref is one of Forms rather than a path on this machine.
func IsRemote(ref string) bool {
	scheme, _, found := strings.Cut(ref, ":")
	switch strings.ToLower(scheme) {
	case "hf", "ollama", "http", "https":
		return found
	}
	return false
}

// Resolve asks the source of ref what the model's files are.
func Resolve(ctx context.Context, ref string, o Options) (*Model, error) {
	scheme, rest, _ := strings.Cut(ref, ":")
	switch strings.ToLower(scheme) {
	case "hf":
		return resolveHub(ctx, rest, o)
	case "ollama":
		return resolveOllama(rest, o)
	case "http", "https":
		if hub, ok, err := hubLink(ref, o); err != nil || ok {
			if err != nil {
				return nil, err
			}
			return hub.resolve(ctx, o)
		}
		return resolveURL(ctx, ref, o)
	}
	return nil, fmt.Errorf("%q: no source of models; want %s", ref, Forms)
}

// ShortName is what a fleet may call the model of a reference, without asking its
// source.
func ShortName(ref string) string {
	_, rest, _ := strings.Cut(ref, ":")
	switch {
	case strings.HasPrefix(ref, "hf:"):
		r, err := parseHub(rest)
		if err != nil {
			return ""
		}
		return r.shortName()
	case strings.HasPrefix(ref, "ollama:"):
		n, err := parseOllama(rest)
		if err != nil {
			return ""
		}
		return n.shortName()
	}
	rest, _, _ = strings.Cut(rest, "?")
	return plainName(path.Base(rest))
}

// plainName makes a model's name of a file's.
func plainName(file string) string {
	name := strings.ToLower(file)
	name = strings.TrimSuffix(name, ".gguf")
	if base, _, n := splitPart(name + ".gguf"); n > 0 {
		name = base
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) {
			return r
		}
		return '-'
	}, name)
}

// Bytes of all files.
func (m *Model) Bytes() (total uint64) {
	for _, f := range m.Files {
		total += f.Size
	}
	return total
}

// IsLocal tells whether every file lies on this machine.
func (m *Model) IsLocal() bool {
	for _, f := range m.Files {
		if f.Local == "" {
			return false
		}
	}
	return true
}
