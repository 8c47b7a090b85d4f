package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/blob"
)

// Begin opens the upload of files, or resumes one that was cut, and says which
// chunks are missing.
func (r *Registry) Begin(_ context.Context, project, model string, files []state.File) (api.UploadState, error) {
	if err := checkFiles(files); err != nil {
		return api.UploadState{}, err
	}
	st := api.UploadState{Version: VersionID(project, model, files), Missing: map[string][]int{}}
	for _, f := range files {
		missing, err := r.missing(f)
		if err != nil {
			return api.UploadState{}, storeError(err)
		}
		if len(missing) > 0 {
			st.Missing[f.Digest] = missing
		}
	}
	return st, nil
}

// missing lists the chunks of a file that the store lacks.
func (r *Registry) missing(f state.File) ([]int, error) {
	if r.blobs.Has(f.Digest) {
		return nil, r.blobs.Matches(blobFile(f))
	}
	w, err := r.writer(f)
	if err != nil {
		return nil, err
	}
	return w.Missing(), nil
}

// blobFile describes a file to the store; checkFiles has seen its chunks.
func blobFile(f state.File) blob.File {
	b := blob.File{Digest: f.Digest, Size: f.Size, ChunkSize: f.ChunkSize}
	for _, c := range f.Chunks {
		var sum blob.Sum
		if _, err := hex.Decode(sum[:], []byte(c)); err != nil {
			continue // the store refuses the file for its number of chunks
		}
		b.Chunks = append(b.Chunks, sum)
	}
	return b
}

// writer gives the open upload of a file. One that was announced with other chunks
// begins again: whoever speaks last is believed, and Commit decides.
func (r *Registry) writer(f state.File) (*blob.Writer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := blobFile(f)
	if w := r.upload[f.Digest]; w != nil {
		if w.File().Equal(b) {
			return w, nil
		}
		delete(r.upload, f.Digest)
		if err := w.Discard(); err != nil {
			return nil, err
		}
	}
	w, err := r.blobs.Begin(b)
	if err != nil {
		return nil, err
	}
	r.upload[f.Digest] = w
	return w, nil
}

// PutChunk stores one chunk of an announced file once its digest proves right.
func (r *Registry) PutChunk(_ context.Context, digest string, n int, data []byte) error {
	r.mu.Lock()
	w := r.upload[digest]
	r.mu.Unlock()
	if w == nil {
		if r.blobs.Has(digest) {
			return nil
		}
		return refuse(http.StatusConflict, "digest: %s was not announced; begin the upload again", digest)
	}
	return storeError(w.WriteChunk(n, data))
}

// finish makes a blob of a complete upload.
func (r *Registry) finish(f state.File) error {
	if r.blobs.Has(f.Digest) {
		return storeError(r.blobs.Matches(blobFile(f)))
	}
	w, err := r.writer(f)
	if err != nil {
		return storeError(err)
	}
	if missing := w.Missing(); len(missing) > 0 {
		return refuse(http.StatusConflict, "%s: %d of %d chunks have not arrived", f.Path, len(missing), len(f.Chunks))
	}
	err = w.Commit() // ends the upload, whatever it finds
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upload[f.Digest] == w {
		delete(r.upload, f.Digest)
	}
	return storeError(err)
}

// storeError gives the store's refusals their HTTP statuses.
func storeError(err error) error {
	var space *blob.NoSpaceError
	switch {
	case errors.As(err, &space):
		return refuse(http.StatusInsufficientStorage, "the coordinator's disk is full: %v", space)
	case errors.Is(err, blob.ErrMismatch), errors.Is(err, blob.ErrInvalid):
		return refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	return err
}

// What a manifest may be; the state machine has the same bounds, and chunks are no
// larger than the management API takes in one request.
const (
	filesMax     = 4096
	chunkSizeMin = 4 << 10
	chunkSizeMax = 64 << 20
)

// checkFiles refuses manifests that do not add up.
func checkFiles(files []state.File) error {
	if len(files) == 0 || len(files) > filesMax {
		return refuse(http.StatusUnprocessableEntity, "files: %d, must be 1 to %d", len(files), filesMax)
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
		if f.ChunkSize < chunkSizeMin || f.ChunkSize > chunkSizeMax {
			return refuse(http.StatusUnprocessableEntity, "%s: chunk_size: %d, must be %d to %d bytes",
				f.Path, f.ChunkSize, chunkSizeMin, chunkSizeMax)
		}
		for n, c := range f.Chunks {
			if _, err := blob.ParseDigest("sha256:" + c); err != nil {
				return refuse(http.StatusUnprocessableEntity, "%s: chunk %d: %q, must be 64 hex digits", f.Path, n, c)
			}
		}
		if err := blobFile(f).Check(); err != nil {
			return refuse(http.StatusUnprocessableEntity, "%s: %v", f.Path, err)
		}
	}
	if err := blob.CheckPaths(paths); err != nil {
		return refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	if ggufs := api.GGUFs(paths); len(ggufs) > 1 && !api.AreParts(ggufs) {
		return refuse(http.StatusUnprocessableEntity, "files: %d are .gguf files (%q, %q), a version has one or all parts of one in their order",
			len(ggufs), ggufs[0], ggufs[1])
	}
	return nil
}
