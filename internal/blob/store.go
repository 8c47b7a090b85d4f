package blob

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
)

// Store is a directory of blobs. It is safe for concurrent use.
type Store struct {
	dir      string
	db       *bbolt.DB
	free     func(dir string) (uint64, error)
	repaired []error

	mu      sync.RWMutex
	blobs   map[Sum]blobRecord // mirrors the index, so that asking costs nothing
	writers map[Sum]*Writer    // open ones
}

// Open opens the store in dir, making it (0700) when absent, and holds the index
// against the files: their names and sizes, not their bytes. See Repaired.
func Open(dir string) (*Store, error) {
	for _, d := range []string{dir, filepath.Join(dir, "blobs"), filepath.Join(dir, "partial"), filepath.Join(dir, "quarantine")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("blob: open %s: %w", dir, err)
		}
	}
	db, aside, err := openIndex(filepath.Join(dir, "index.db"))
	if errors.Is(err, ErrLocked) || errors.Is(err, ErrFormat) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("blob: open %s: %w", dir, err)
	}
	s := &Store{dir: dir, db: db, free: freeBytes, blobs: map[Sum]blobRecord{}, writers: map[Sum]*Writer{}}
	if aside != nil {
		s.repaired = append(s.repaired, aside)
	}
	if err := s.reconcile(); err != nil {
		return nil, errors.Join(fmt.Errorf("blob: open %s: %w", dir, err), db.Close())
	}
	return s, nil
}

// Repaired lists what Open found and put right, for the log.
func (s *Store) Repaired() []error { return s.repaired }

// Close ends open writers, whose blobs can be resumed, and lets go of the directory.
func (s *Store) Close() error {
	s.mu.RLock()
	var open []*Writer
	for _, w := range s.writers {
		open = append(open, w)
	}
	s.mu.RUnlock()
	var errs []error
	for _, w := range open {
		errs = append(errs, w.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}

func (s *Store) blobPath(sum Sum) string {
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, "blobs", name[:2], name[2:4], name)
}

func (s *Store) partialPath(sum Sum) string {
	return filepath.Join(s.dir, "partial", hex.EncodeToString(sum[:]))
}

// Has tells whether the whole blob is here.
func (s *Store) Has(digest string) bool {
	_, err := s.Size(digest)
	return err == nil
}

// Size of a blob in bytes.
func (s *Store) Size(digest string) (uint64, error) {
	sum, err := ParseDigest(digest)
	if err != nil {
		return 0, err
	}
	r, ok := s.lookup(sum)
	if !ok {
		return 0, fmt.Errorf("%w: %s", ErrNotFound, digest)
	}
	return r.size, nil
}

func (s *Store) lookup(sum Sum) (blobRecord, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.blobs[sum]
	return r, ok
}

// Path of a blob's file, to be read, mapped or linked, and never written.
func (s *Store) Path(digest string) (string, error) {
	if _, err := s.Size(digest); err != nil {
		return "", err
	}
	sum, err := ParseDigest(digest)
	return s.blobPath(sum), err
}

// List gives the digests and sizes of all blobs.
func (s *Store) List() map[string]uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make(map[string]uint64, len(s.blobs))
	for sum, r := range s.blobs {
		list[Digest(sum)] = r.size
	}
	return list
}

// Usage is how many bytes blobs take, finished or on their way, and how many the
// store may still take, its reserve not counted.
func (s *Store) Usage() (used, free uint64, err error) {
	for _, size := range s.List() {
		used += size
	}
	partials, err := s.Partials()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range partials {
		used += p.Size
	}
	free, err = s.free(s.dir)
	return used, free, err
}

// Delete removes a blob. Whoever has its file open or linked keeps the bytes.
func (s *Store) Delete(digest string) error {
	sum, err := ParseDigest(digest)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.blobs[sum]; !ok {
		return fmt.Errorf("%w: %s", ErrNotFound, digest)
	}
	if owner, err := s.pinnedBy(digest); err != nil || owner != "" {
		return errors.Join(err, fmt.Errorf("%w: %s by %s", ErrPinned, digest, owner))
	}
	return s.drop(sum, os.Remove)
}

// drop takes a blob's file away and then its record: after a crash between the two
// Open finds the file gone.
func (s *Store) drop(sum Sum, away func(path string) error) error {
	path := s.blobPath(sum)
	if err := away(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("blob: %s: %w", Digest(sum), err)
	}
	delete(s.blobs, sum)
	if err := atomicfile.SyncDir(filepath.Dir(path)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("blob: %s: %w", Digest(sum), err)
	}
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketBlobs).Delete(sum[:]) })
}
