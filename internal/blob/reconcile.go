package blob

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// reconcile makes index and files agree after whatever happened to either.
func (s *Store) reconcile() error {
	var x *index
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		x, err = readIndex(tx)
		return err
	})
	if err != nil {
		return err
	}
	s.blobs = x.blobs
	if err := s.reconcileBlobs(x); err != nil {
		return err
	}
	return s.reconcilePartials(x)
}

func (s *Store) repair(format string, args ...any) {
	s.repaired = append(s.repaired, fmt.Errorf("blob: "+format, args...))
}

func (s *Store) reconcileBlobs(x *index) error {
	files, err := s.blobFiles()
	if err != nil {
		return err
	}
	for sum, r := range x.blobs {
		size, ok := files[sum]
		switch {
		case !ok:
			s.repair("%s: its file is gone", Digest(sum))
			err = s.drop(sum, os.Remove)
		case size != r.size:
			s.repair("%s: its file has %d bytes, want %d; put into quarantine", Digest(sum), size, r.size)
			err = s.drop(sum, s.quarantine)
		}
		if err != nil {
			return err
		}
		delete(files, sum)
	}
	for sum, size := range files {
		if err := s.adopt(x, sum, size); err != nil {
			return err
		}
	}
	return nil
}

// blobFiles lists the files under blobs by the digest in their names.
func (s *Store) blobFiles() (map[Sum]uint64, error) {
	files := map[Sum]uint64{}
	err := filepath.WalkDir(filepath.Join(s.dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		sum, perr := ParseDigest(digestPrefix + d.Name())
		if perr != nil || s.blobPath(sum) != path || !d.Type().IsRegular() {
			s.repair("%s does not belong here; left alone", path)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[sum] = uint64(info.Size())
		return nil
	})
	return files, err
}

// adopt takes in a file without a record, if its bytes are right: Commit was cut
// between rename and record, or the index was lost.
func (s *Store) adopt(x *index, sum Sum, size uint64) error {
	got, err := sumPath(s.blobPath(sum))
	if err != nil {
		return err
	}
	if got != sum {
		s.repair("%s: a file without a record, and its bytes give %s; put into quarantine", Digest(sum), Digest(got))
		return s.drop(sum, s.quarantine)
	}
	r := blobRecord{size: size}
	if f, ok := x.partial[sum]; ok && f.Size == size {
		r.layout = f.layout()
	}
	delete(x.partial, sum)
	return s.record(sum, r)
}

// record enters a verified blob and ends its partial.
func (s *Store) record(sum Sum, r blobRecord) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if err := dropPartial(tx, sum); err != nil {
			return err
		}
		return tx.Bucket(bucketBlobs).Put(sum[:], r.encode())
	})
	if err == nil {
		s.blobs[sum] = r
	}
	return err
}

func dropPartial(tx *bbolt.Tx, sum Sum) error {
	if err := tx.Bucket(bucketBitmap).Delete(sum[:]); err != nil {
		return err
	}
	return tx.Bucket(bucketPartial).Delete(sum[:])
}

// reconcilePartials drops records without their file and files without a record.
func (s *Store) reconcilePartials(x *index) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "partial"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if raw, err := hex.DecodeString(e.Name()); err == nil && len(raw) == len(Sum{}) {
			if _, ok := x.partial[Sum(raw)]; ok {
				continue
			}
		}
		if err := os.RemoveAll(filepath.Join(s.dir, "partial", e.Name())); err != nil {
			return err
		}
	}
	for sum, f := range x.partial {
		if st, err := os.Stat(s.partialPath(sum)); err == nil && uint64(st.Size()) == f.Size {
			continue
		}
		s.repair("%s: the file of its chunks is gone; it begins again", f.Digest)
		if err := s.dropPartial(sum); err != nil {
			return err
		}
	}
	return nil
}

// dropPartial forgets a partial and then its file, so that no bit outlives its chunk.
func (s *Store) dropPartial(sum Sum) error {
	if err := s.db.Update(func(tx *bbolt.Tx) error { return dropPartial(tx, sum) }); err != nil {
		return err
	}
	if err := os.Remove(s.partialPath(sum)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
