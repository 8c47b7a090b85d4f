package logstore

import (
	"encoding/binary"
	"fmt"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// FirstIndex of the log; 0 when it is empty.
func (s *Store) FirstIndex() (uint64, error) {
	return s.edge(func(c *bbolt.Cursor) []byte { k, _ := c.First(); return k })
}

// LastIndex of the log; 0 when it is empty.
func (s *Store) LastIndex() (uint64, error) {
	return s.edge(func(c *bbolt.Cursor) []byte { k, _ := c.Last(); return k })
}

func (s *Store) edge(pick func(*bbolt.Cursor) []byte) (index uint64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		index, err = edge(tx, pick)
		return err
	})
	return index, err
}

func edge(tx *bbolt.Tx, pick func(*bbolt.Cursor) []byte) (uint64, error) {
	k := pick(tx.Bucket(bucketLog).Cursor())
	if k == nil {
		return 0, nil
	}
	return keyIndex(k)
}

func keyIndex(k []byte) (uint64, error) {
	if len(k) != 8 {
		return 0, fmt.Errorf("logstore: %w: key of %d bytes in the log", ErrCorrupt, len(k))
	}
	return binary.BigEndian.Uint64(k), nil
}

// GetLog reads one entry; raft.ErrLogNotFound when there is none of that index.
func (s *Store) GetLog(index uint64, l *raft.Log) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		sealed := tx.Bucket(bucketLog).Get(indexKey(index))
		if sealed == nil {
			return raft.ErrLogNotFound
		}
		if err := decodeLog(index, sealed, l); err != nil {
			return fmt.Errorf("logstore: log index %d: %w", index, err)
		}
		return nil
	})
}

// StoreLog stores one entry.
func (s *Store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries that follow the last one and each other, all or none. When
// it returns nil they are on the disk.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		last, err := edge(tx, func(c *bbolt.Cursor) []byte { k, _ := c.Last(); return k })
		if err != nil {
			return err
		}
		b := tx.Bucket(bucketLog)
		b.FillPercent = 1 // keys only grow: full pages, no half empty ones behind
		for _, l := range logs {
			if last != 0 && l.Index != last+1 {
				return fmt.Errorf("%w: index %d after %d", ErrGap, l.Index, last)
			}
			if err := b.Put(indexKey(l.Index), encodeLog(l)); err != nil {
				return fmt.Errorf("logstore: log index %d: %w", l.Index, err)
			}
			last = l.Index
		}
		return nil
	})
}

// DeleteRange removes the entries from first to last, both included, all or none.
func (s *Store) DeleteRange(first, last uint64) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketLog).Cursor()
		// Each round seeks anew: a bbolt cursor does not know where it is after Delete.
		for k, _ := c.Seek(indexKey(first)); k != nil; k, _ = c.Seek(indexKey(first)) {
			index, err := keyIndex(k)
			if err != nil || index > last {
				return err
			}
			if err := c.Delete(); err != nil {
				return fmt.Errorf("logstore: delete log index %d: %w", index, err)
			}
		}
		return nil
	})
}
