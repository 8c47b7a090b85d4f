package logstore

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// Set stores a value: raft's term, vote and the like.
func (s *Store) Set(key, value []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(bucketStable).Put(key, seal(key, append([]byte(nil), value...))); err != nil {
			return fmt.Errorf("logstore: set %s: %w", key, err)
		}
		return nil
	})
}

// Get reads a value, or ErrNotFound.
func (s *Store) Get(key []byte) (value []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		sealed := tx.Bucket(bucketStable).Get(key)
		if sealed == nil {
			return ErrNotFound
		}
		record, err := open(key, sealed)
		if err != nil {
			return fmt.Errorf("logstore: stable value %s: %w", key, err)
		}
		value = append([]byte{}, record...)
		return nil
	})
	return value, err
}

// SetUint64 stores a number.
func (s *Store) SetUint64(key []byte, value uint64) error { return s.Set(key, indexKey(value)) }

// GetUint64 reads a number, or ErrNotFound.
func (s *Store) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("logstore: stable value %s: %w: %d bytes, want 8", key, ErrCorrupt, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}
