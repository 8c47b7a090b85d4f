package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// hubRef is a reference to a repository of a Hub.
type hubRef struct {
	id       string // "org/name", or the bare name of an old repository
	revision string // branch, tag or commit
	quant    string // "Q4_K_M": which of the GGUF files; "" for none
	file     string // the one file to take; "" for none
}

var (
	hubID               = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$`)
	hubRev              = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	commit              = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Form, gitForm = regexp.MustCompile(`^[0-9a-f]{64}$`), commit
)

// parseHub reads org/name[@revision][:QUANTISATION].
func parseHub(s string) (hubRef, error) {
	r := hubRef{revision: "main"}
	rest, quant, tagged := strings.Cut(s, ":")
	id, rev, pinned := strings.Cut(rest, "@")
	r.id, r.quant = id, quant
	if pinned {
		r.revision = rev
	}
	switch {
	case !hubID.MatchString(id) || len(id) > 200 || strings.Contains(id, ".."):
		return r, fmt.Errorf("hf:%s: %q is no repository, want hf:org/name", clip(s), clip(id))
	case !hubRev.MatchString(r.revision) || len(r.revision) > 200 || strings.Contains(r.revision, ".."):
		return r, fmt.Errorf("hf:%s: %q is no revision, want a branch, tag or commit after the @", clip(s), clip(r.revision))
	case tagged && quant == "":
		return r, fmt.Errorf("hf:%s: nothing follows the colon; want a quantisation, as in hf:%s:Q4_K_M", clip(s), id)
	}
	return r, nil
}

// hubLink reads an address of the Hub's pages or files as the reference that it means,
// as people copy it from a browser.
func hubLink(address string, o Options) (hubRef, bool, error) {
	u, err := url.Parse(address)
	home, err2 := endpoint(o)
	if err != nil || err2 != nil || !sameOrigin(u, home) {
		return hubRef{}, false, nil // resolveURL says what is wrong with the first
	}
	parts := strings.Split(strings.Trim(strings.TrimPrefix(u.Path, strings.TrimSuffix(home.Path, "/")), "/"), "/")
	if len(parts) < 2 || len(parts) == 3 || len(parts) == 2 && isGGUF(parts[1]) {
		return hubRef{}, false, nil
	}
	ref := parts[0] + "/" + parts[1]
	if len(parts) > 3 {
		if parts[2] != "tree" && parts[2] != "blob" && parts[2] != "resolve" {
			return hubRef{}, false, nil
		}
		ref += "@" + parts[3]
	}
	r, err := parseHub(ref)
	if len(parts) > 4 && parts[2] != "tree" {
		r.file = strings.Join(parts[4:], "/")
	}
	return r, true, err
}

func (r hubRef) String() string { return "hf:" + r.id }

func (r hubRef) shortName() string {
	name := strings.ToLower(path.Base(r.id))
	if r.quant != "" {
		name = strings.TrimSuffix(name, "-gguf") + "-" + strings.ToLower(r.quant)
	}
	return plainName(name)
}

// endpoint of the Hub.
func endpoint(o Options) (*url.URL, error) {
	s := o.Endpoint
	if s == "" {
		s = DefaultEndpoint
	}
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("endpoint %q: must be an http(s) address, as in %s", clip(s), DefaultEndpoint)
	}
	return u, nil
}

func resolveHub(ctx context.Context, s string, o Options) (*Model, error) {
	r, err := parseHub(s)
	if err != nil {
		return nil, err
	}
	return r.resolve(ctx, o)
}

// hubRepo is one repository at one endpoint.
type hubRepo struct {
	hubRef
	web  *web
	home *url.URL
}

func (r hubRef) resolve(ctx context.Context, o Options) (*Model, error) {
	home, err := endpoint(o)
	if err != nil {
		return nil, err
	}
	if o.File != "" {
		r.file = o.File
	}
	h := &hubRepo{hubRef: r, web: newWeb(o), home: home}
	if home.Scheme == "https" || isLoopback(home) { // a token never travels in the clear
		h.web.token, h.web.home = o.Token, home
	}
	info, err := h.ask(ctx)
	if err != nil {
		return nil, err
	}
	m := &Model{Source: r.String(), Revision: info.SHA, Licence: info.Card.licence(), web: h.web, explain: h.explain}
	m.Name = r.shortName()
	chosen, err := h.choose(ctx, info)
	if err != nil {
		return nil, err
	}
	for _, s := range chosen {
		f, err := h.describe(info.SHA, s)
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, f)
	}
	if f := m.Files[0].Path; isGGUF(f) {
		m.Source, m.Name = r.String()+"/"+chosen[0].Name, plainName(f)
	}
	return m, nil
}

// repository is what the Hub says of one, as far as we read it.
type repository struct {
	SHA      string    `json:"sha"`
	Siblings []sibling `json:"siblings"`
	Card     card      `json:"cardData"`
}

// sibling is one file of a repository.
type sibling struct {
	Name string  `json:"rfilename"`
	Size *uint64 `json:"size"`
	Blob string  `json:"blobId"`
	LFS  *struct {
		SHA256 string `json:"sha256"`
		Size   uint64 `json:"size"`
	} `json:"lfs"`
}

// card is the metadata of the repository's README.
type card struct {
	License     any    `json:"license"` // a string, or a list of them
	LicenseName string `json:"license_name"`
}

func (c card) licence() string {
	switch l := c.License.(type) {
	case string:
		if l == "other" && c.LicenseName != "" {
			return clip(c.LicenseName)
		}
		return clip(l)
	case []any:
		var names []string
		for _, x := range l {
			names = append(names, fmt.Sprint(x))
		}
		return clip(strings.Join(names, ", "))
	}
	return ""
}

// ask resolves the revision to a commit and lists its files.
func (h *hubRepo) ask(ctx context.Context) (*repository, error) {
	var info repository
	address := h.home.String() + "/api/models/" + h.id + "/revision/" + url.PathEscape(h.revision) + "?blobs=true"
	if err := h.web.json(ctx, address, &info); err != nil {
		return nil, h.explain(err)
	}
	if !commit.MatchString(info.SHA) {
		return nil, fmt.Errorf("%s: the Hub names no commit for revision %q, but %q", h, h.revision, clip(info.SHA))
	}
	for _, s := range info.Siblings {
		if err := checkPath(h.String(), s.Name); err != nil {
			return nil, err
		}
	}
	return &info, nil
}

// describe names a sibling's size and digest.
func (h *hubRepo) describe(sha string, s sibling) (File, error) {
	f := File{Path: place(s.Name), url: h.address(sha, s.Name), pinned: true}
	switch {
	case s.LFS != nil && sha256Form.MatchString(s.LFS.SHA256):
		f.SHA256, f.Size = s.LFS.SHA256, s.LFS.Size
	case s.LFS == nil && s.Size != nil && gitForm.MatchString(s.Blob):
		f.git, f.Size = s.Blob, *s.Size
	default:
		return f, fmt.Errorf("%s: the Hub gives no size and digest of %s; is %s a Hub that knows ?blobs=true?", h, s.Name, h.home.Host)
	}
	if f.Size > maxBytes {
		return f, fmt.Errorf("%s: %s has %d bytes, at most %d", h, s.Name, f.Size, uint64(maxBytes))
	}
	return f, nil
}

func (h *hubRepo) address(sha, name string) string {
	var parts []string
	for p := range strings.SplitSeq(name, "/") {
		parts = append(parts, url.PathEscape(p))
	}
	return h.home.String() + "/" + h.id + "/resolve/" + sha + "/" + strings.Join(parts, "/")
}

// explain says what to do about a refusal of the Hub.
func (h *hubRepo) explain(err error) error {
	var e *StatusError
	if !errors.As(err, &e) {
		return err
	}
	page := h.home.String() + "/" + h.id
	access := "set HF_TOKEN to a token that may read it, or name a file that holds one with --token-file"
	if h.web.token != "" {
		access = "the token given may not read it"
	}
	switch {
	case e.Code == "GatedRepo":
		return fmt.Errorf("%s is gated: accept its terms at %s, then %s (%w)", h, page, access, err)
	case e.Code == "RevisionNotFound":
		return fmt.Errorf("%s has no revision %q; see %s (%w)", h, h.revision, page, err)
	case e.Code == "EntryNotFound":
		return fmt.Errorf("%s has no such file; see %s (%w)", h, page, err)
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return fmt.Errorf("%s is not there, or private: check the name; if it is private, %s (%w)", h, access, err)
	case e.Status == http.StatusNotFound:
		return fmt.Errorf("%s is not there: check the name at %s (%w)", h, h.home, err)
	}
	return err
}
