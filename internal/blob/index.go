package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	bucketMeta    = []byte("meta")
	bucketBlobs   = []byte("blobs")
	bucketPartial = []byte("partial")
	bucketBitmap  = []byte("bitmap")
	bucketPins    = []byte("pins")
	buckets       = [][]byte{bucketMeta, bucketBlobs, bucketPartial, bucketBitmap, bucketPins}
	keyFormat     = []byte("format")
)

const indexFormat = 1

// lockTimeout is how long Open waits for another process to let go of the index.
const lockTimeout = time.Second

// openIndex opens the index, after it was read once whole: bbolt ends the process when
// it meets a damaged page while writing. A damaged index is put aside, for the files
// can make a new one; aside says why.
func openIndex(path string) (db *bbolt.DB, aside, err error) {
	if err := verifyIndex(path); errors.Is(err, bolterrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("%w: %s", ErrLocked, path)
	} else if errors.Is(err, ErrFormat) {
		return nil, nil, err
	} else if err != nil {
		if rerr := os.Rename(path, path+".damaged"); rerr != nil {
			return nil, nil, errors.Join(err, rerr)
		}
		aside = fmt.Errorf("%s was damaged and is rebuilt from the files: %w", path, err)
	}
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("%w: %s", ErrLocked, path)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := db.Update(makeBuckets); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, aside, nil
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint64(nil, indexFormat))
}

// verifyIndex reads every page and record of an existing index.
func verifyIndex(path string) error {
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil
	}
	return guarded(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
		if err != nil {
			return err
		}
		err = db.View(checkIndex)
		if err == nil || errors.Is(err, ErrFormat) {
			return errors.Join(err, db.Close())
		}
		return err // left open: where bbolt gives up, a goroutine of its own may still read the pages
	})
}

// guarded turns a panic of bbolt over damaged pages into an error, as well as the
// fault of a read past the end of a file that was cut short.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errCorrupt, p)
		}
	}()
	return do()
}

// checkIndex gives the first thing that is broken in the index by itself.
func checkIndex(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return nil // made and never prepared
	}
	if v := meta.Get(keyFormat); len(v) == 8 && binary.BigEndian.Uint64(v) > indexFormat {
		return fmt.Errorf("%w: %d, it reads %d", ErrFormat, binary.BigEndian.Uint64(v), indexFormat)
	}
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: bucket %s is missing", errCorrupt, name)
		}
	}
	// bbolt checks in a goroutine of its own, where the fault of a read past the end
	// could not be caught.
	if st, err := os.Stat(tx.DB().Path()); err != nil || st.Size() < tx.Size() {
		return errors.Join(err, fmt.Errorf("%w: the file is shorter than its %d bytes of pages", errCorrupt, tx.Size()))
	}
	_, first := readIndex(tx)
	for err := range tx.Check() { // to the end, for bbolt's goroutine reads until then
		if first == nil {
			first = err
		}
	}
	return first
}

// index is everything the index says.
type index struct {
	blobs   map[Sum]blobRecord
	partial map[Sum]File
	bitmaps map[Sum]bitmap
	pins    []Pin
}

func readIndex(tx *bbolt.Tx) (*index, error) {
	x := &index{blobs: map[Sum]blobRecord{}, partial: map[Sum]File{}, bitmaps: map[Sum]bitmap{}}
	return x, errors.Join(
		bySum(tx, bucketBlobs, func(k Sum, v []byte) (err error) { x.blobs[k], err = decodeBlob(v); return err }),
		bySum(tx, bucketPartial, func(k Sum, v []byte) (err error) { x.partial[k], err = decodePartial(k, v); return err }),
		bySum(tx, bucketBitmap, func(k Sum, v []byte) error { return x.addBitmap(k, v) }),
		tx.Bucket(bucketPins).ForEach(func(k, v []byte) error {
			p, err := decodePin(string(k), v)
			x.pins = append(x.pins, p)
			return err
		}),
	)
}

func (x *index) addBitmap(k Sum, v []byte) error {
	if want := len(newBitmap(len(x.partial[k].Chunks))); len(v) != want {
		return fmt.Errorf("%w: bitmap of %d bytes, want %d", errCorrupt, len(v), want)
	}
	x.bitmaps[k] = append(bitmap(nil), v...)
	return nil
}

// bySum visits a bucket whose keys are digests.
func bySum(tx *bbolt.Tx, bucket []byte, visit func(k Sum, v []byte) error) error {
	return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
		if len(k) != len(Sum{}) {
			return fmt.Errorf("%w: key of %d bytes in %s, want 32", errCorrupt, len(k), bucket)
		}
		if err := visit(Sum(k), v); err != nil {
			return fmt.Errorf("%s of %s: %w", bucket, Digest(Sum(k)), err)
		}
		return nil
	})
}
