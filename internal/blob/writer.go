package blob

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
)

// A sync is due when this many bytes or this much time would be lost by a kill.
const (
	syncBytes = 64 << 20
	syncEvery = 2 * time.Second
)

// Writer writes one blob, chunk by chunk in any order, from several goroutines.
type Writer struct {
	store *Store
	file  File
	sum   Sum
	f     *os.File

	syncing sync.Mutex // held over a sync and the end of the writer; before mu

	mu       sync.Mutex
	written  bitmap // chunks in the file, perhaps not yet on the disk
	pending  int    // bytes since the last sync
	synced   time.Time
	inFlight sync.WaitGroup
	closed   bool
	done     bool // committed
}

// Begin starts the blob that f describes, or resumes it where a kill left it. A
// partial that was cut another way begins again. While a writer of the digest is open
// it fails with ErrBusy, and with a NoSpaceError before anything is written if the
// disk cannot take the rest.
func (s *Store) Begin(f File) (*Writer, error) {
	sum, err := f.check()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers[sum] != nil {
		return nil, fmt.Errorf("%w: %s", ErrBusy, f.Digest)
	}
	have, err := s.resume(sum, f)
	if err != nil {
		return nil, fmt.Errorf("blob: %s: %w", f.Digest, err)
	}
	w := &Writer{store: s, file: f, sum: sum, written: have, synced: time.Now()}
	if w.f, err = s.openPartial(sum, f); err != nil {
		return nil, fmt.Errorf("blob: %s: %w", f.Digest, err)
	}
	if err := s.db.Update(w.putRecords); err != nil {
		return nil, errors.Join(fmt.Errorf("blob: %s: %w", f.Digest, s.noSpace(err, f.Size)), w.f.Close())
	}
	s.writers[sum] = w
	return w, nil
}

// resume gives the chunks that are on the disk. What cannot be gone on with is
// dropped.
func (s *Store) resume(sum Sum, f File) (bitmap, error) {
	have := newBitmap(len(f.Chunks))
	var known []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		known = append(known, tx.Bucket(bucketPartial).Get(sum[:])...)
		copy(have, tx.Bucket(bucketBitmap).Get(sum[:]))
		return nil
	})
	if err != nil || known == nil {
		return have, err
	}
	st, err := os.Stat(s.partialPath(sum))
	if old, derr := decodePartial(sum, known); err == nil && derr == nil && old.Equal(f) && uint64(st.Size()) == f.Size {
		return have, nil
	}
	clear(have)
	return have, s.dropPartial(sum)
}

// openPartial opens the file of chunks with all its bytes reserved. It removes a file
// that it made and could not reserve.
func (s *Store) openPartial(sum Sum, f File) (*os.File, error) {
	path := s.partialPath(sum)
	_, err := os.Stat(path)
	fresh := os.IsNotExist(err)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, s.noSpace(err, f.Size)
	}
	if err := errors.Join(s.reserve(file, f.Size), atomicfile.SyncDir(filepath.Dir(path))); err != nil {
		if fresh {
			err = errors.Join(err, os.Remove(path))
		}
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (s *Store) reserve(file *os.File, size uint64) error {
	have, err := allocated(file)
	if err != nil {
		return err
	}
	need := size - min(size, have)
	free, err := s.free(s.dir)
	if err != nil {
		return err
	}
	if need > free {
		return &NoSpaceError{Need: need, Free: free}
	}
	return s.noSpace(allocate(file, size), need)
}

func (w *Writer) putRecords(tx *bbolt.Tx) error {
	if err := tx.Bucket(bucketPartial).Put(w.sum[:], encodePartial(w.file)); err != nil {
		return err
	}
	return tx.Bucket(bucketBitmap).Put(w.sum[:], w.written)
}

// File is what the writer was begun with.
func (w *Writer) File() File { return w.file }

// Missing lists the chunks that have not come.
func (w *Writer) Missing() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	var missing []int
	for n := range w.file.Chunks {
		if !w.written.has(n) {
			missing = append(missing, n)
		}
	}
	return missing
}

// WriteChunk stores chunk n once its bytes proved right. It survives a kill after the
// next sync, which comes every 64 MiB or two seconds, and with Close and Commit.
func (w *Writer) WriteChunk(n int, data []byte) error {
	if err := w.checkChunk(n, data); err != nil {
		return err
	}
	if skip, err := w.enter(n); skip || err != nil {
		return err
	}
	offset, _ := w.file.ChunkRange(n)
	_, err := w.f.WriteAt(data, int64(offset))
	due := err == nil && w.wrote(n, len(data))
	w.inFlight.Done() // before the sync: Close waits for it with the sync's lock held
	if err != nil {
		return fmt.Errorf("blob: chunk %d of %s: %w", n, w.file.Digest, w.store.noSpace(err, uint64(len(data))))
	}
	if !due {
		return nil
	}
	return w.sync()
}

func (w *Writer) checkChunk(n int, data []byte) error {
	if n < 0 || n >= len(w.file.Chunks) {
		return fmt.Errorf("%w: chunk %d of %s, want 0 to %d", ErrInvalid, n, w.file.Digest, len(w.file.Chunks)-1)
	}
	if _, want := w.file.ChunkRange(n); uint64(len(data)) != want {
		return fmt.Errorf("%w: chunk %d of %s has %d bytes, want %d", ErrInvalid, n, w.file.Digest, len(data), want)
	}
	if got := sha256.Sum256(data); got != w.file.Chunks[n] {
		return fmt.Errorf("%w: chunk %d of %s gives %s, want %s", ErrMismatch, n, w.file.Digest, Digest(got), Digest(w.file.Chunks[n]))
	}
	return nil
}

// enter holds the file open for one write; skip says that the chunk is there.
func (w *Writer) enter(n int) (skip bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.written.has(n) || w.done:
		return true, nil
	case w.closed:
		return false, fmt.Errorf("%w: %s", ErrClosed, w.file.Digest)
	}
	w.inFlight.Add(1)
	return false, nil
}

// wrote counts a chunk and tells whether a sync is due.
func (w *Writer) wrote(n, bytes int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written.set(n)
	w.pending += bytes
	return w.pending >= syncBytes || time.Since(w.synced) >= syncEvery
}

// sync brings the chunks written so far to the disk, then their bits.
func (w *Writer) sync() error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	return w.syncLocked()
}

func (w *Writer) syncLocked() error {
	w.mu.Lock()
	have := append(bitmap(nil), w.written...)
	due := w.pending > 0
	w.pending, w.synced = 0, time.Now()
	w.mu.Unlock()
	if !due {
		return nil
	}
	err := w.f.Sync()
	if err == nil {
		err = w.store.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketBitmap).Put(w.sum[:], have) })
	}
	if err != nil {
		w.mu.Lock()
		w.pending++ // still due
		w.mu.Unlock()
		return fmt.Errorf("blob: sync %s: %w", w.file.Digest, w.store.noSpace(err, w.file.Size))
	}
	return nil
}

// shut keeps new writes out and waits for those under way; false when that was done
// before. The caller holds syncing.
func (w *Writer) shut() bool {
	w.mu.Lock()
	was := w.closed
	w.closed = true
	w.mu.Unlock()
	w.inFlight.Wait()
	return !was
}

// Close syncs what came and ends the writer; Begin goes on from there.
func (w *Writer) Close() error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if !w.shut() {
		return nil
	}
	return w.end(w.syncLocked())
}

// Discard ends the writer and forgets what came.
func (w *Writer) Discard() error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if !w.shut() {
		return nil
	}
	return w.end(w.store.dropPartial(w.sum))
}

// end lets go of file and digest.
func (w *Writer) end(err error) error {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writers, w.sum)
	return errors.Join(err, w.f.Close())
}
