package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// verify reads every record of an existing file before it is opened for writing:
// bbolt ends the process when it meets a broken page at that point, and raft does when
// it meets a broken record.
func verify(path string) error {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil
	}
	return guarded(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
		if err != nil {
			return err
		}
		err = guarded(func() error { return db.View(sound) })
		return errors.Join(err, db.Close())
	})
}

// sound checks the pages, then what lies in them.
func sound(tx *bbolt.Tx) error {
	if err := checkPages(tx); err != nil {
		return err
	}
	return walk(tx)
}

// guarded turns a panic of bbolt over damaged pages into an error, as well as the
// fault of a read past the end of a file that was cut short.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}()
	return do()
}

// walk gives the first thing that is broken in the buckets.
func walk(tx *bbolt.Tx) error {
	log, stable := tx.Bucket(bucketLog), tx.Bucket(bucketStable)
	if log == nil && stable == nil {
		return nil // made and never prepared
	}
	if log == nil || stable == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrCorrupt)
	}
	var last raft.Log
	err := log.ForEach(func(k, v []byte) error {
		l, err := follow(last, k, v)
		last = l
		return err
	})
	if err != nil {
		return err
	}
	return stable.ForEach(func(k, v []byte) error {
		if _, err := open(k, v); err != nil {
			return fmt.Errorf("stable value %q: %w", k, err)
		}
		return nil
	})
}

// follow decodes the record after last and checks that it continues it.
func follow(last raft.Log, k, v []byte) (l raft.Log, err error) {
	index, err := keyIndex(k)
	if err != nil {
		return l, err
	}
	if err := decodeLog(index, v, &l); err != nil {
		return raft.Log{Index: index, Term: last.Term}, fmt.Errorf("log index %d: %w", index, err)
	}
	switch {
	case last.Index != 0 && index != last.Index+1:
		return l, fmt.Errorf("%w: log index %d follows %d", ErrCorrupt, index, last.Index)
	case l.Term < last.Term:
		return l, fmt.Errorf("%w: log index %d has term %d, the one before has %d", ErrCorrupt, index, l.Term, last.Term)
	}
	return l, nil
}
