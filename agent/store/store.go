package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/internal/blob"
)

// Store of one agent. It is safe for concurrent use.
type Store struct {
	blobs    *blob.Store
	versions string
	log      *slog.Logger

	mu      sync.Mutex
	pins    map[string]int     // by version: uses by instances and pulls
	wanted  map[string]int     // by digest: pulls that need it
	flights map[string]*flight // by digest: downloads under way
}

// Open opens the store in dir, making it when absent.
func Open(dir string, log *slog.Logger) (*Store, error) {
	versions := filepath.Join(dir, "versions")
	if err := os.MkdirAll(versions, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	blobs, err := blob.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, r := range blobs.Repaired() {
		log.Warn("model store put right", "found", r)
	}
	return &Store{
		blobs: blobs, versions: versions, log: log,
		pins: map[string]int{}, wanted: map[string]int{}, flights: map[string]*flight{},
	}, nil
}

// Handler serves this agent's blobs to other nodes.
func (s *Store) Handler() http.Handler { return blob.Handler(s.blobs) }

// Close ends the store once pulls have returned; what they cut is resumed later.
func (s *Store) Close() error {
	s.mu.Lock()
	var ends []chan struct{}
	for _, f := range s.flights {
		f.cancel()
		ends = append(ends, f.done)
	}
	s.mu.Unlock()
	for _, end := range ends {
		<-end
	}
	return s.blobs.Close()
}

// Usage is how many bytes the models take and how many more the disk can take.
func (s *Store) Usage() (bytes, free uint64) {
	bytes, free, err := s.blobs.Usage()
	if err != nil {
		s.log.Warn("model store cannot tell its usage", "error", err)
	}
	return bytes, free
}

// Pin keeps a version from being evicted until unpin is called, which may be more
// than once.
func (s *Store) Pin(version string) (unpin func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[version]++
	return sync.OnceFunc(func() { s.unpin(version) })
}

func (s *Store) unpin(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins[version]--; s.pins[version] == 0 {
		delete(s.pins, version)
	}
	if err := s.blobs.Touch(version, time.Now()); err != nil && !errors.Is(err, blob.ErrNotFound) {
		s.log.Warn("last use of a version was not noted", "version", version, "error", err)
	}
}

// Check reads every blob and names what is broken. Rotten blobs are put out of the
// way, and the versions that named them are pulled again when they are next wanted.
func (s *Store) Check(ctx context.Context) []error {
	return append(s.blobs.Scrub(ctx), s.blobs.Check()...)
}
