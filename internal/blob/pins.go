package blob

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Pin keeps blobs from being deleted, in the name of an owner, until Unpin. It
// replaces what the owner pinned before. The blobs must be here.
func (s *Store) Pin(owner string, now time.Time, digests ...string) error {
	var sums []Sum
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range digests {
		sum, err := ParseDigest(d)
		if err != nil {
			return err
		}
		if _, ok := s.blobs[sum]; !ok {
			return fmt.Errorf("%w: %s, to be pinned by %s", ErrNotFound, d, owner)
		}
		sums = append(sums, sum)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPins).Put([]byte(owner), encodePin(now, sums)) })
	if err != nil {
		return fmt.Errorf("blob: pin for %q: %w", owner, s.noSpace(err, 0))
	}
	return nil
}

// Touch notes that an owner used its blobs.
func (s *Store) Touch(owner string, now time.Time) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketPins)
		v := slices.Clone(b.Get([]byte(owner)))
		if len(v) < pinHead {
			return fmt.Errorf("%w: pin of %q", ErrNotFound, owner)
		}
		copy(v, encodePin(now, nil))
		return b.Put([]byte(owner), v)
	})
}

// Unpin lets go of an owner's blobs. They stay until they are deleted.
func (s *Store) Unpin(owner string) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPins).Delete([]byte(owner)) })
}

// Pins lists all pins, least recently used first.
func (s *Store) Pins() (pins []Pin, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketPins).ForEach(func(k, v []byte) error {
			p, err := decodePin(string(k), v)
			pins = append(pins, p)
			return err
		})
	})
	slices.SortStableFunc(pins, func(a, b Pin) int { return a.Used.Compare(b.Used) })
	return pins, err
}

// pinnedBy gives an owner that holds the blob, or "".
func (s *Store) pinnedBy(digest string) (string, error) {
	pins, err := s.Pins()
	for _, p := range pins {
		if slices.Contains(p.Blobs, digest) {
			return p.Owner, err
		}
	}
	return "", err
}
