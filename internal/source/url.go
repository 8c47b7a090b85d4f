package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// resolveURL reads a .gguf file, all parts of a split one, or a directory in Hugging
// Face's form as any file server gives it.
func resolveURL(ctx context.Context, address string, o Options) (*Model, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q: is no address, want https://host/path/model.gguf", clip(address))
	}
	if o.SHA256 != "" && !sha256Form.MatchString(o.SHA256) {
		return nil, fmt.Errorf("--sha256 %q: must be 64 hex digits in lower case", clip(o.SHA256))
	}
	s := &site{base: u, model: &Model{Source: shown(address), Name: plainName(path.Base(u.Path)), web: newWeb(o)}, sha256: o.SHA256}
	switch {
	case isGGUF(u.Path):
		err = s.ggufs(ctx)
	case isPickle(u.Path):
		err = refusePickle(s.model.Source, path.Base(u.Path))
	case strings.HasSuffix(u.Path, ".safetensors"):
		err = fmt.Errorf("%s: safetensors alone are no model; name the directory that also holds %s and %s", s.model.Source, configFile, tokenizerFile)
	default:
		err = s.directory(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.model.Revision = s.revision()
	return s.model, nil
}

// site is a model on a file server.
type site struct {
	base   *url.URL
	model  *Model
	sha256 string
}

// beside gives the address of another file of the same directory.
func (s *site) beside(dir, name string) string {
	u := *s.base
	u.Path, u.RawPath = path.Join("/", dir, name), ""
	return u.String()
}

func (s *site) ggufs(ctx context.Context) error {
	names, err := allParts(path.Base(s.base.Path))
	if err != nil {
		return err
	}
	if len(names) > 1 && s.sha256 != "" {
		return fmt.Errorf("--sha256: is for one file, and %s has %d parts", s.model.Source, len(names))
	}
	for i, name := range names {
		address := s.base.String() // as given: it may be signed
		if i > 0 {
			address = s.beside(path.Dir(s.base.Path), name)
		}
		if err := s.add(ctx, name, address, 0); err != nil {
			return err
		}
	}
	s.model.Files[0].SHA256 = s.sha256
	return nil
}

// directory takes a model in Hugging Face's form.
func (s *site) directory(ctx context.Context) error {
	if s.sha256 != "" {
		return errors.New("--sha256: is for the address of one file")
	}
	at := func(name string) string { return s.beside(s.base.Path, name) }
	if err := s.add(ctx, configFile, at(configFile), 0); err != nil {
		return fmt.Errorf("%w; an address names a .gguf file, or a directory that holds %s", err, configFile)
	}
	if err := s.add(ctx, tokenizerFile, at(tokenizerFile), 0); err != nil {
		return err
	}
	for _, name := range besides {
		if err := s.add(ctx, name, at(name), http.StatusNotFound); err != nil {
			return err
		}
	}
	weights := []string{weightsFile}
	index, err := s.model.web.text(ctx, at(indexFile))
	var missing *StatusError
	if err == nil {
		if weights, err = shardsOf(s.model.Source, index); err != nil {
			return err
		}
		weights = append([]string{indexFile}, weights...)
	} else if !errors.As(err, &missing) || missing.Status != http.StatusNotFound {
		return err
	}
	for _, name := range weights {
		if err := s.add(ctx, name, at(name), 0); err != nil {
			return err
		}
	}
	return nil
}

// add asks for the first bytes of a file: they tell whether it is there, how large it
// is, what pins its content, and whether it is what its name says. An answer of the
// status may leaves the file out.
func (s *site) add(ctx context.Context, name, address string, may int) error {
	if err := checkPath(s.model.Source, name); err != nil {
		return err
	}
	f := File{Path: name, url: address}
	err := s.model.web.patiently(ctx, func() error { return s.model.web.probe(ctx, &f) })
	var status *StatusError
	if errors.As(err, &status) && status.Status == may {
		return nil
	}
	if err != nil {
		return err
	}
	s.model.Files = append(s.model.Files, f)
	return nil
}

// probed is how many bytes of a file a probe asks for.
const probed = 16

func (w *web) probe(ctx context.Context, f *File) error {
	resp, err := w.get(ctx, f.url, http.Header{"Range": {fmt.Sprintf("bytes=0-%d", probed-1)}})
	if err != nil {
		return err
	}
	defer resp.Body.Close() // of a server that sends the whole, nothing more is read
	size := resp.ContentLength
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("%s: is empty", shown(f.url))
	}
	if resp.StatusCode == http.StatusPartialContent {
		_, total, ok := contentRange(resp)
		if !ok {
			return fmt.Errorf("%s: the server's Content-Range %q does not say how large the file is", shown(f.url), clip(resp.Header.Get("Content-Range")))
		}
		size = int64(total)
	}
	if size <= 0 || size > maxBytes {
		return fmt.Errorf("%s: the server does not say how large the file is, or it has no bytes; fetch it by other means and name the file", shown(f.url))
	}
	f.Size, f.validator = uint64(size), validator(resp.Header)
	if err := checkContent(f, resp.Header); err != nil {
		return err
	}
	return checkMagic(ctx, f, resp.Body)
}

// validator is what a server says to tell one content from another; a weak ETag does
// not.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return clip(tag)
	}
	return clip(h.Get("Last-Modified"))
}

// checkContent refuses pages that stand where a file should.
func checkContent(f *File, h http.Header) error {
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		return fmt.Errorf("%s: answers with an HTML page instead of a file; is it a page about the file, or a login? want the address of the file itself", shown(f.url))
	}
	if e := h.Get("Content-Encoding"); e != "" && e != "identity" {
		return fmt.Errorf("%s: comes in the encoding %q, though none was asked for", shown(f.url), clip(e))
	}
	return nil
}

// checkMagic looks whether a .gguf file begins like one.
func checkMagic(_ context.Context, f *File, r io.Reader) error {
	if !isGGUF(f.Path) {
		return nil
	}
	magic := make([]byte, 4)
	if _, err := io.ReadFull(r, magic); err != nil {
		return &networkError{host: shown(f.url), err: err}
	}
	if string(magic) != "GGUF" {
		return fmt.Errorf("%s: begins with %q, not with GGUF, so it is no GGUF file", shown(f.url), magic)
	}
	return nil
}

// revision is what pins the content: the digest that was given, else what the server
// says of each file.
func (s *site) revision() string {
	if s.sha256 != "" {
		return "sha256:" + s.sha256
	}
	h := sha256.New()
	for _, f := range s.model.Files {
		if f.validator == "" {
			return ""
		}
		fmt.Fprintf(h, "%s\x00%d\x00%s\n", f.Path, f.Size, f.validator)
	}
	return "http:" + hex.EncodeToString(h.Sum(nil))[:16]
}
