package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// Evict removes what is not in use until the models take at most target bytes, and
// says how many bytes it freed: first what no version names, then whole versions, the
// one not used for the longest time first.
func (s *Store) Evict(target uint64) (freed uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, _ := s.Usage()
	if before <= target {
		return 0, nil
	}
	err = s.evict(target)
	after, _ := s.Usage()
	return before - min(before, after), err
}

func (s *Store) evict(target uint64) error {
	pins, err := s.blobs.Pins()
	if err := errors.Join(err, s.blobs.Purge(), s.dropPartials(), s.sweep()); err != nil {
		return err
	}
	for _, p := range pins {
		if used, _ := s.Usage(); used <= target {
			return nil
		}
		if s.pins[p.Owner] > 0 {
			continue
		}
		if err := errors.Join(s.blobs.Unpin(p.Owner), os.RemoveAll(filepath.Join(s.versions, p.Owner)), s.sweep()); err != nil {
			return err
		}
		s.log.Info("version evicted", "version", p.Owner, "last_use", p.Used)
	}
	return nil
}

// dropPartials forgets downloads that nobody goes on with.
func (s *Store) dropPartials() error {
	list, err := s.blobs.Partials()
	for _, p := range list {
		if !p.Open && s.wanted[p.Digest] == 0 {
			err = errors.Join(err, s.blobs.DropPartial(p.Digest))
		}
	}
	return err
}

// sweep deletes the blobs that no version names and no pull wants.
func (s *Store) sweep() error {
	pins, err := s.blobs.Pins()
	if err != nil {
		return err
	}
	var named []string
	for _, p := range pins {
		named = append(named, p.Blobs...)
	}
	for digest := range s.blobs.List() {
		if s.wanted[digest] > 0 || slices.Contains(named, digest) {
			continue
		}
		err = errors.Join(err, s.blobs.Delete(digest))
	}
	return err
}
