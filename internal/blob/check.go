package blob

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Check names what is broken without reading blobs: the index's pages and records,
// files that are gone or have another size, pins of blobs that are not here.
func (s *Store) Check() (broken []error) {
	err := guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				broken = append(broken, fmt.Errorf("blob: index: %w", err))
			}
			x, err := readIndex(tx)
			if err == nil {
				broken = append(broken, s.checkFiles(x)...)
			}
			return err
		})
	})
	if err != nil {
		broken = append(broken, fmt.Errorf("blob: index: %w", err))
	}
	return broken
}

func (s *Store) checkFiles(x *index) (broken []error) {
	size := func(path string) (n int64) {
		if st, err := os.Stat(path); err == nil {
			return st.Size()
		}
		return -1
	}
	for sum, r := range x.blobs {
		if got := size(s.blobPath(sum)); got != int64(r.size) {
			broken = append(broken, fmt.Errorf("blob: %s: its file has %d bytes (-1: is gone), want %d", Digest(sum), got, r.size))
		}
	}
	for sum, f := range x.partial {
		if got := size(s.partialPath(sum)); got != int64(f.Size) {
			broken = append(broken, fmt.Errorf("blob: partial %s: its file has %d bytes (-1: is gone), want %d", f.Digest, got, f.Size))
		}
	}
	for _, p := range x.pins {
		for _, d := range p.Blobs {
			if sum, err := ParseDigest(d); err != nil || x.blobs[sum].size == 0 && x.blobs[sum] == (blobRecord{}) {
				broken = append(broken, fmt.Errorf("blob: pin of %q: %s is not here", p.Owner, d))
			}
		}
	}
	return broken
}

// Scrub reads every blob, puts those that rotted into quarantine and names them: they
// can be fetched again. It ends early with ctx.
func (s *Store) Scrub(ctx context.Context) (rotten []error) {
	for digest := range s.List() {
		if ctx.Err() != nil {
			return append(rotten, ctx.Err())
		}
		sum, err := ParseDigest(digest)
		if err == nil {
			err = s.scrub(sum)
		}
		if err != nil {
			rotten = append(rotten, err)
		}
	}
	return rotten
}

func (s *Store) scrub(sum Sum) error {
	got, err := sumPath(s.blobPath(sum))
	if err == nil && got == sum {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.blobs[sum]; !ok {
		return nil // deleted meanwhile
	}
	if err == nil {
		err = fmt.Errorf("%w: the bytes of %s give %s; put into quarantine", ErrMismatch, Digest(sum), Digest(got))
	} else if !os.IsNotExist(err) {
		err = fmt.Errorf("blob: %s cannot be read; put into quarantine: %w", Digest(sum), err)
	}
	if derr := s.drop(sum, s.quarantine); derr != nil {
		return fmt.Errorf("%w; and then: %v", err, derr)
	}
	return err
}

// quarantine moves a blob's file out of the way.
func (s *Store) quarantine(path string) error {
	return os.Rename(path, filepath.Join(s.dir, "quarantine", filepath.Base(path)))
}

// Purge removes what is in quarantine.
func (s *Store) Purge() error {
	dir := filepath.Join(s.dir, "quarantine")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
