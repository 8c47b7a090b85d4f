package blob

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
)

// Commit reads the whole file, and if it has the digest makes a blob of it and ends
// the writer. With ErrMismatch the chunks were right and the whole is not, so that the
// description was wrong: what came is forgotten.
func (w *Writer) Commit() error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if w.done {
		return nil
	}
	if missing := w.Missing(); len(missing) > 0 {
		return fmt.Errorf("%w: %s: %d of %d", ErrIncomplete, w.file.Digest, len(missing), len(w.file.Chunks))
	}
	if !w.shut() {
		return fmt.Errorf("%w: %s", ErrClosed, w.file.Digest)
	}
	err := w.syncLocked()
	if err == nil {
		err = w.verify()
	}
	if errors.Is(err, ErrMismatch) {
		err = errors.Join(err, w.store.dropPartial(w.sum))
	}
	if err != nil {
		return w.end(err)
	}
	return w.publish()
}

func (w *Writer) verify() error {
	got, err := sumFile(w.f)
	if err != nil {
		return fmt.Errorf("blob: read %s: %w", w.file.Digest, err)
	}
	if got != w.sum {
		return fmt.Errorf("%w: the whole of %s gives %s", ErrMismatch, w.file.Digest, Digest(got))
	}
	return nil
}

// publish renames the verified file to its place and then records it: a crash between
// the two leaves a file without a record, which Open adopts.
func (w *Writer) publish() error {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(w.f.Sync(), w.f.Close(), s.place(w.sum))
	if err == nil {
		err = s.record(w.sum, blobRecord{size: w.file.Size, layout: w.file.layout()})
	}
	delete(s.writers, w.sum)
	if err != nil {
		return fmt.Errorf("blob: commit %s: %w", w.file.Digest, s.noSpace(err, 0))
	}
	w.done = true
	return nil
}

// place moves a finished partial to where blobs are.
func (s *Store) place(sum Sum) error {
	path := s.blobPath(sum)
	leaf := filepath.Dir(path)
	if err := os.MkdirAll(leaf, 0o700); err != nil {
		return err
	}
	if err := os.Rename(s.partialPath(sum), path); err != nil {
		return err
	}
	middle := filepath.Dir(leaf)
	return errors.Join(atomicfile.SyncDir(leaf), atomicfile.SyncDir(middle),
		atomicfile.SyncDir(filepath.Dir(middle)), atomicfile.SyncDir(filepath.Join(s.dir, "partial")))
}

// Matches tells whether a blob that is here is what f describes: its size and every
// chunk. It reads the blob only when it came with other chunks.
func (s *Store) Matches(f File) error {
	sum, err := f.check()
	if err != nil {
		return err
	}
	r, ok := s.lookup(sum)
	switch {
	case !ok:
		return fmt.Errorf("%w: %s", ErrNotFound, f.Digest)
	case r.size != f.Size:
		return fmt.Errorf("%w: %s has %d bytes, not %d", ErrMismatch, f.Digest, r.size, f.Size)
	case r.layout == f.layout():
		return nil
	}
	return s.matchChunks(sum, f)
}

func (s *Store) matchChunks(sum Sum, f File) error {
	file, err := os.Open(s.blobPath(sum))
	if err != nil {
		return err
	}
	defer file.Close()
	w := &Writer{file: f}
	for n := range f.Chunks {
		offset, length := f.ChunkRange(n)
		data := make([]byte, length)
		if _, err := file.ReadAt(data, int64(offset)); err != nil {
			return err
		}
		if err := w.checkChunk(n, data); err != nil {
			return err
		}
	}
	return nil
}
