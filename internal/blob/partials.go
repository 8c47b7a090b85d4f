package blob

import (
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// Partial is a blob on its way.
type Partial struct {
	Digest string
	Size   uint64
	Idle   time.Time // when something last came
	Open   bool      // a writer is open
}

// Partials lists what is on its way, open or left by a kill.
func (s *Store) Partials() ([]Partial, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []Partial
	err := s.db.View(func(tx *bbolt.Tx) error {
		return bySum(tx, bucketPartial, func(k Sum, v []byte) error {
			f, err := decodePartial(k, v)
			if err != nil {
				return err
			}
			p := Partial{Digest: f.Digest, Size: f.Size, Open: s.writers[k] != nil}
			if st, err := os.Stat(s.partialPath(k)); err == nil {
				p.Idle = st.ModTime()
			}
			list = append(list, p)
			return nil
		})
	})
	return list, err
}

// DropPartial forgets a partial that no writer has open.
func (s *Store) DropPartial(digest string) error {
	sum, err := ParseDigest(digest)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers[sum] != nil {
		return ErrBusy
	}
	return s.dropPartial(sum)
}
