package runner

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	logMax   = 8 << 20 // bytes of an engine's log; as many again are kept as .1
	logsKept = 32      // logs of instances that have gone
)

// openLog opens an engine's log for its process, which appends.
func (f *files) openLog(instance string) (*os.File, error) {
	if err := f.boundLog(instance); err != nil {
		return nil, err
	}
	return os.OpenFile(f.logFile(instance), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// boundLog moves a log that has grown too large aside. The engine holds the file
// open, so it is copied and cut rather than renamed; a line written between the two
// is lost.
func (f *files) boundLog(instance string) error {
	path := f.logFile(instance)
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() <= logMax {
		return nil
	}
	if err != nil {
		return err
	}
	if err := copyTail(path, path+".1", logMax); err != nil {
		return err
	}
	return os.Truncate(path, 0)
}

// copyTail copies the last n bytes of a file.
func copyTail(from, to string, n int64) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	end, err := src.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := src.Seek(max(0, end-n), io.SeekStart); err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, io.LimitReader(src, n))
	return errors.Join(err, dst.Close())
}

// pruneLogs removes the oldest logs of instances that are not among live.
func (f *files) pruneLogs(live map[string]*leftover) error {
	paths, err := filepath.Glob(filepath.Join(f.log, "*.log"))
	if err != nil {
		return err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		return live[strings.TrimSuffix(filepath.Base(p), ".log")] != nil
	})
	slices.SortFunc(paths, func(a, b string) int { return modified(b).Compare(modified(a)) })
	var errs []error
	for _, p := range paths[min(logsKept, len(paths)):] {
		errs = append(errs, os.Remove(p))
		if err := os.Remove(p + ".1"); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func modified(path string) time.Time {
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}
