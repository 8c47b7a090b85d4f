package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// parallel is how many files are fetched at once.
const parallel = 4

// ErrBusy is returned by Fetch while another process fetches the same model.
var ErrBusy = errors.New("another process fetches this model already; wait for it, or end it")

// CacheDir is where downloads lie until a fleet has them.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir() // $XDG_CACHE_HOME, else ~/.cache
	if err != nil {
		return "", fmt.Errorf("no directory for downloads: %w; name one with --cache", err)
	}
	return filepath.Join(dir, "nanofleet", "downloads"), nil
}

// Fetch brings every file to this machine, below the directory cache, and verifies it.
// It goes on where an earlier run stopped. progress may be nil; it is told how many
// bytes are here of how many, and called from several goroutines.
func (m *Model) Fetch(ctx context.Context, cache string, progress func(done, total uint64)) error {
	if m.IsLocal() {
		return nil
	}
	dir, unlock, err := m.open(cache)
	if err != nil {
		return err
	}
	defer unlock()
	m.dir = dir
	if err := m.checkSpace(dir); err != nil {
		return err
	}
	if progress == nil {
		progress = func(_, _ uint64) {}
	}
	var done atomic.Int64
	total := m.Bytes()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range m.Files {
		f := &m.Files[i]
		d := &download{web: m.web, file: f, path: filepath.Join(dir, f.Path), step: func(n int64) {
			progress(uint64(done.Add(n)), total)
		}}
		g.Go(func() error { return d.run(ctx) })
	}
	return m.explained(g.Wait())
}

// explained adds what the source knows about a refusal.
func (m *Model) explained(err error) error {
	if err == nil || m.explain == nil {
		return err
	}
	return m.explain(err)
}

// Discard removes what Fetch brought, once it is elsewhere.
func (m *Model) Discard() error {
	if m.dir == "" {
		return nil
	}
	for i := range m.Files {
		m.Files[i].Local = ""
	}
	return os.RemoveAll(m.dir)
}

// open makes the model's directory and locks it against other processes. Its name says
// source and revision, so that what lies in it is of one content.
func (m *Model) open(cache string) (dir string, unlock func(), err error) {
	sum := sha256.Sum256([]byte(m.Source + "\x00" + m.Revision))
	dir = filepath.Join(cache, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("directory for downloads: %w; name another with --cache", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return "", nil, fmt.Errorf("%s: %w", dir, ErrBusy)
	}
	prune(cache, time.Now().Add(-abandoned))
	return dir, func() { lock.Close() }, nil
}

// lockFile of a model's directory; no file of a model may be called so.
const lockFile = ".lock"

// abandoned is how long a download may rest before another one removes it.
const abandoned = 7 * 24 * time.Hour

// prune removes downloads that nobody went on with. That it cannot is no reason to
// fail: the next run tries again.
func prune(cache string, before time.Time) {
	locks, _ := filepath.Glob(filepath.Join(cache, "*", lockFile))
	for _, path := range locks {
		if newest(filepath.Dir(path)).After(before) {
			continue
		}
		lock, err := os.OpenFile(path, os.O_RDWR, 0o600)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		lock.Close()
	}
}

// newest is when a file of dir was last written.
func newest(dir string) (t time.Time) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().After(t) {
			t = info.ModTime()
		}
	}
	return t
}

// SpaceError says that the disk cannot take a download.
type SpaceError struct {
	Dir        string
	Need, Free uint64 // bytes
}

// Error says how much is missing, and what to do.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("%s: %d bytes are still to be fetched and %d are free; make room, or name a directory on another disk with --cache", e.Dir, e.Need, e.Free)
}

// freeBytes is what the disk of dir can still take; a variable for tests.
var freeBytes = func(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// checkSpace compares what is still to be fetched with what is free.
func (m *Model) checkSpace(dir string) error {
	free, err := freeBytes(dir)
	if err != nil {
		return err
	}
	need := m.Bytes()
	for _, f := range m.Files {
		for _, suffix := range []string{"", partSuffix} {
			if info, err := os.Stat(filepath.Join(dir, f.Path+suffix)); err == nil {
				need -= min(need, uint64(info.Size()))
				break
			}
		}
	}
	if need > free {
		return &SpaceError{Dir: dir, Need: need, Free: free}
	}
	return nil
}
