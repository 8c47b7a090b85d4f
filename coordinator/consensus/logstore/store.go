package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Errors of a Store, besides ErrCorrupt and raft.ErrLogNotFound.
var (
	// ErrGap is returned by StoreLogs for entries that do not follow the last one.
	ErrGap = errors.New("logstore: entry does not follow the last one")
	// ErrLocked is returned by Open while another process has the file.
	ErrLocked = errors.New("logstore: in use by another process")
	// ErrFormat is returned by Open for a file of a newer version.
	ErrFormat = errors.New("logstore: format not known to this build")
	// ErrNotFound is returned by Get and GetUint64 for a key that was never set. Raft
	// knows it by its text.
	ErrNotFound = errors.New("not found")
)

var (
	bucketMeta   = []byte("meta")
	bucketLog    = []byte("log")
	bucketStable = []byte("stable")
	keyFormat    = []byte("format")
)

const fileFormat = 1

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = time.Second

// Store is a log with its stable values. It is safe for concurrent use.
type Store struct{ db *bbolt.DB }

var (
	_ raft.LogStore          = (*Store)(nil)
	_ raft.StableStore       = (*Store)(nil)
	_ raft.MonotonicLogStore = (*Store)(nil)
)

// Open opens the file at path (0600), or makes it. It reads the whole file first: with
// a damaged one it fails with ErrCorrupt and names the index.
func Open(path string) (*Store, error) {
	if err := verify(path); err != nil {
		return nil, openError(path, err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        lockTimeout,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, openError(path, err)
	}
	s := &Store{db: db}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(openError(path, err), db.Close())
	}
	return s, nil
}

func openError(path string, err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%w: %s", ErrLocked, path)
	}
	return fmt.Errorf("logstore: open %s: %w", path, err)
}

// prepare makes the buckets of a new file and checks the format of an old one.
func (s *Store) prepare() error {
	var found uint64
	err := s.db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(bucketMeta); meta != nil {
			if v := meta.Get(keyFormat); len(v) == 8 {
				found = binary.BigEndian.Uint64(v)
			}
		}
		return nil
	})
	if err != nil || found == fileFormat {
		return err
	}
	if found != 0 {
		return fmt.Errorf("%w: %d, it reads %d", ErrFormat, found, fileFormat)
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketLog, bucketStable} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, indexKey(fileFormat))
	})
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

// IsMonotonic tells raft that this log has no gaps, so that it drops all entries
// before it installs a snapshot.
func (s *Store) IsMonotonic() bool { return true }
