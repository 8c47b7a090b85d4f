// Package hub is a Hugging Face Hub of one process, for tests: repositories of files
// under commits, the metadata API, redirects of large files to a store on another host
// with signed addresses, small files from a cache, gated and private repositories with
// the Hub's own error codes. Its test has the official Python client download from it,
// so that what passes here speaks the real protocol.
package hub

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Repo is a repository at one commit.
type Repo struct {
	ID       string // "org/name"
	Commit   string
	Branches []string // that point to the commit; "main" always does
	Files    map[string][]byte
	LFS      []string // files kept in the large store
	Licence  string
	Gated    bool // whoever has not agreed sees the listing and no file
	Private  bool // whoever may not read it is told that it is not there
}

// Server is a Hub and its large store, each on a port of its own.
type Server struct {
	URL   string
	Store string
	// Token may read everything; any other token reads what is open.
	Token string
	// Fault, where set, stands before the large store.
	Fault func(next http.Handler) http.Handler

	mu    sync.Mutex
	repos map[string]*Repo
	seen  []Request
}

// Request is one that came, as far as tests ask.
type Request struct {
	Host, Path, Range, Authorization string
}

// Start runs a Hub until the test ends.
func Start(t testing.TB, repos ...*Repo) *Server {
	t.Helper()
	s := &Server{Token: "hf_good", repos: map[string]*Repo{}}
	for _, r := range repos {
		if r.Commit == "" {
			sum := sha1.Sum([]byte(r.ID))
			r.Commit = hex.EncodeToString(sum[:])
		}
		s.repos[r.ID] = r
	}
	front, store := httptest.NewServer(s.noted(http.HandlerFunc(s.front))), httptest.NewServer(s.noted(http.HandlerFunc(s.fault)))
	t.Cleanup(front.Close)
	t.Cleanup(store.Close)
	s.URL, s.Store = front.URL, store.URL
	return s
}

// Requests that came so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *Server) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, Request{"http://" + r.Host, r.URL.Path, r.Header.Get("Range"), r.Header.Get("Authorization")})
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// front is the host that people know.
func (s *Server) front(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, "/api/models/"); ok {
		s.api(w, r, rest)
	} else if rest, ok := strings.CutPrefix(path, "/api/resolve-cache/models/"); ok {
		s.small(w, r, rest)
	} else if id, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/resolve/"); ok {
		s.resolve(w, r, id, rest)
	} else {
		refuse(w, http.StatusNotFound, "", "Sorry, we can't find the page you are looking for.")
	}
}

// refuse answers as the Hub does: what went wrong is in two headers.
func refuse(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, message)
}

// reader finds a repository that the caller may know of.
func (s *Server) reader(w http.ResponseWriter, r *http.Request, id string) *Repo {
	repo, token := s.repos[id], strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case repo != nil && (!repo.Private || token == s.Token):
		return repo
	case token == "":
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Repository not found")
	default:
		refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
	}
	return nil
}

// at tells whether a revision is the repository's commit.
func (r *Repo) at(w http.ResponseWriter, escaped string) bool {
	revision, err := url.PathUnescape(escaped)
	if err == nil && (revision == r.Commit || revision == "main" || slices.Contains(r.Branches, revision)) {
		return true
	}
	refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	return false
}

// api answers {id}, {id}/revision/{rev} and {id}/tree/{rev}.
func (s *Server) api(w http.ResponseWriter, r *http.Request, rest string) {
	if strings.Count(rest, "/") < 2 {
		rest += "/revision/main"
	}
	for what, answer := range map[string]func(*Repo, bool) any{"/revision/": (*Repo).info, "/tree/": (*Repo).tree} {
		id, revision, ok := strings.Cut(rest, what)
		if !ok {
			continue
		}
		repo := s.reader(w, r, id)
		if repo == nil || !repo.at(w, revision) {
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(answer(repo, r.URL.Query().Get("blobs") != ""))
		return
	}
	refuse(w, http.StatusNotFound, "", "Not Found")
}

func (r *Repo) names() []string {
	var names []string
	for name := range r.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// info is what the Hub says of a repository.
func (r *Repo) info(blobs bool) any {
	siblings := []any{}
	for _, name := range r.names() {
		s := map[string]any{"rfilename": name}
		if blobs {
			s["size"], s["blobId"] = len(r.Files[name]), r.blob(name)
			if slices.Contains(r.LFS, name) {
				s["lfs"] = map[string]any{"sha256": sum256(r.Files[name]), "size": len(r.Files[name]), "pointerSize": len(r.pointer(name))}
			}
		}
		siblings = append(siblings, s)
	}
	gated := any(false)
	if r.Gated {
		gated = "auto"
	}
	return map[string]any{"_id": "1", "id": r.ID, "modelId": r.ID, "sha": r.Commit, "private": r.Private, "gated": gated,
		"disabled": false, "downloads": 1, "likes": 1, "tags": []string{"license:" + r.Licence}, "cardData": map[string]any{"license": r.Licence},
		"createdAt": "2026-01-01T00:00:00.000Z", "lastModified": "2026-01-01T00:00:00.000Z", "siblings": siblings}
}

// tree is the listing that newer clients ask for.
func (r *Repo) tree(bool) any {
	list := []any{}
	for _, name := range r.names() {
		f := map[string]any{"type": "file", "oid": r.blob(name), "size": len(r.Files[name]), "path": name}
		if slices.Contains(r.LFS, name) {
			f["lfs"] = map[string]any{"oid": sum256(r.Files[name]), "size": len(r.Files[name]), "pointerSize": len(r.pointer(name))}
		}
		list = append(list, f)
	}
	return list
}

// pointer is what git keeps of a large file.
func (r *Repo) pointer(name string) []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sum256(r.Files[name]), len(r.Files[name]))
}

// blob names a file as git does.
func (r *Repo) blob(name string) string {
	content := r.Files[name]
	if slices.Contains(r.LFS, name) {
		content = r.pointer(name)
	}
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...))
	return hex.EncodeToString(sum[:])
}

func sum256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// resolve sends the caller to where a file's bytes are.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, id, rest string) {
	repo := s.reader(w, r, id)
	if repo == nil {
		return
	}
	revision, escaped, _ := strings.Cut(rest, "/")
	if !repo.at(w, revision) || !s.mayRead(w, r, repo) {
		return
	}
	name, err := url.PathUnescape(escaped)
	content, ok := repo.Files[name]
	if err != nil || !ok {
		w.Header().Set("X-Repo-Commit", repo.Commit)
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	h := w.Header()
	h.Set("X-Repo-Commit", repo.Commit)
	h.Set("X-Linked-Size", fmt.Sprint(len(content)))
	if slices.Contains(repo.LFS, name) {
		h.Set("X-Linked-Etag", fmt.Sprintf("%q", sum256(content)))
		h.Set("Location", s.Store+"/repos/"+id+"/"+escaped+"?X-Amz-Signature="+signature)
		w.WriteHeader(http.StatusFound)
		return
	}
	h.Set("X-Linked-Etag", fmt.Sprintf("%q", repo.blob(name)))
	h.Set("Location", "/api/resolve-cache/models/"+id+"/"+repo.Commit+"/"+escaped+"?etag="+repo.blob(name))
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// signature opens the large store.
const signature = "signed"

func (s *Server) mayRead(w http.ResponseWriter, r *http.Request, repo *Repo) bool {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !repo.Gated || token == s.Token {
		return true
	}
	status, what := http.StatusUnauthorized, "You must have access to it and be authenticated to access it. Please log in."
	if token != "" {
		status, what = http.StatusForbidden, "Your request to access it is awaiting a review from the repo authors."
	}
	refuse(w, status, "GatedRepo", fmt.Sprintf("Access to model %s is restricted. %s", repo.ID, what))
	return false
}

// small serves what git holds itself.
func (s *Server) small(w http.ResponseWriter, r *http.Request, rest string) {
	for id, repo := range s.repos {
		escaped, ok := strings.CutPrefix(rest, id+"/"+repo.Commit+"/")
		name, err := url.PathUnescape(escaped)
		if !ok || err != nil || !s.mayRead(w, r, repo) {
			continue
		}
		w.Header().Set("X-Repo-Commit", repo.Commit)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("ETag", fmt.Sprintf("%q", repo.blob(name)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(repo.Files[name]))
		return
	}
	refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
}

func (s *Server) fault(w http.ResponseWriter, r *http.Request) {
	next := http.Handler(http.HandlerFunc(s.large))
	if s.Fault != nil {
		next = s.Fault(next)
	}
	next.ServeHTTP(w, r)
}

// large is the object store: it knows signatures, and takes a second kind of
// credential for an attack.
func (s *Server) large(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
		return
	}
	if r.URL.Query().Get("X-Amz-Signature") != signature {
		http.Error(w, "AccessDenied", http.StatusForbidden)
		return
	}
	for id, repo := range s.repos {
		name, ok := strings.CutPrefix(r.URL.Path, "/repos/"+id+"/")
		if content, found := repo.Files[name]; ok && found {
			w.Header().Set("Content-Type", "binary/octet-stream")
			w.Header().Set("ETag", fmt.Sprintf("%q", sum256(content)[:32]+"-7")) // of a multipart upload
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			return
		}
	}
	http.Error(w, "NoSuchKey", http.StatusNotFound)
}
