package blob

import (
	"net/http"
	"os"
	"time"
)

// Handler serves GET and HEAD of /blobs/DIGEST, with byte ranges. Only verified blobs
// are served. It authorises nobody: put it behind mutual TLS.
func Handler(s *Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /blobs/{digest}", s.serve)
	return mux
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request) {
	digest := r.PathValue("digest")
	if _, err := ParseDigest(digest); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path, err := s.Path(digest)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	f, err := os.Open(path)
	if err != nil { // deleted meanwhile, or lost: another holder may have it
		http.Error(w, "blob: not here: "+digest, http.StatusNotFound)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+digest+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
}
