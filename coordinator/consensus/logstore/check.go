package logstore

import (
	"fmt"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// checkMax bounds what Check reports: one bad page breaks many records.
const checkMax = 100

// Check reads the whole file and names what is broken: bbolt's pages, records that do
// not match their CRC, gaps between indexes, terms that go down. nil means sound.
func (s *Store) Check() (broken []error) {
	report := func(err error) {
		if err != nil && len(broken) < checkMax {
			broken = append(broken, fmt.Errorf("logstore: %w", err))
		}
	}
	report(guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			if err := checkPages(tx); err != nil {
				return err
			}
			checkLog(tx, report)
			return checkStable(tx, report)
		})
	}))
	return broken
}

func checkLog(tx *bbolt.Tx, report func(error)) {
	var last raft.Log
	c := tx.Bucket(bucketLog).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		l, err := follow(last, k, v)
		report(err)
		last = l
	}
}

func checkStable(tx *bbolt.Tx, report func(error)) error {
	return tx.Bucket(bucketStable).ForEach(func(k, v []byte) error {
		_, err := open(k, v)
		if err != nil {
			report(fmt.Errorf("stable value %q: %w", k, err))
		}
		return nil
	})
}
