package registry

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/internal/blob"
)

// Registry of one coordinator. It is safe for concurrent use.
type Registry struct {
	blobs    *blob.Store
	versions string // directory of assembled versions, by id

	commits sync.Mutex // one commit or removal at a time; before mu

	mu     sync.Mutex
	upload map[string]*blob.Writer // open uploads by digest
	metas  map[string]*model.Meta  // by version id
}

// Open opens the registry in dir, making it when absent.
func Open(dir string) (*Registry, error) {
	versions := filepath.Join(dir, "versions")
	if err := os.MkdirAll(versions, 0o700); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	blobs, err := blob.Open(filepath.Join(dir, "store"))
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if err := dropAbandoned(blobs, time.Now().Add(-abandoned)); err != nil {
		return nil, errors.Join(fmt.Errorf("registry: %w", err), blobs.Close())
	}
	return &Registry{
		blobs: blobs, versions: versions,
		upload: map[string]*blob.Writer{}, metas: map[string]*model.Meta{},
	}, nil
}

// abandoned is how long an upload may rest before its bytes are given up.
const abandoned = 7 * 24 * time.Hour

func dropAbandoned(blobs *blob.Store, before time.Time) error {
	list, err := blobs.Partials()
	for _, p := range list {
		if p.Idle.Before(before) {
			err = errors.Join(err, blobs.DropPartial(p.Digest))
		}
	}
	return err
}

// Handler serves blobs to agents.
func (r *Registry) Handler() http.Handler { return blob.Handler(r.blobs) }

// Close ends open uploads, which can be resumed, and closes the store.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.upload)
	return r.blobs.Close() // which ends the writers
}

// Refusal is an error of the uploader, with the HTTP status it deserves.
type Refusal struct {
	Status  int
	Message string
}

// Error is the sentence.
func (e *Refusal) Error() string { return e.Message }

// HTTPStatus of the answer.
func (e *Refusal) HTTPStatus() int { return e.Status }

func refuse(status int, format string, args ...any) error {
	return &Refusal{Status: status, Message: fmt.Sprintf(format, args...)}
}
