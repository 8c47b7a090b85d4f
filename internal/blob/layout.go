package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Entry is a blob under a name.
type Entry struct {
	Path   string // relative, clean, with slashes
	Digest string
}

// CheckPaths refuses names that lead out of a directory, come twice, or need a file to
// be a directory as well.
func CheckPaths(paths []string) error {
	seen := map[string]bool{}
	for _, p := range paths {
		if !fs.ValidPath(p) || p == "." || strings.ContainsAny(p, "\\\x00") {
			return fmt.Errorf("%w: path: %.200q, must be relative and clean, with no .. in it", ErrInvalid, p)
		}
		if seen[p] {
			return fmt.Errorf("%w: path: %q is named twice", ErrInvalid, p)
		}
		seen[p] = true
	}
	for _, p := range paths {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			if seen[d] {
				return fmt.Errorf("%w: path: %q is a file, so %q cannot be in it", ErrInvalid, d, p)
			}
		}
	}
	return nil
}

// Assemble links blobs into dir under their names and gives the path to load a model
// from: the GGUF file where there is one, else dir. What is there already is left, and
// replaced where it is not the blob's own file.
func (s *Store) Assemble(dir string, entries []Entry) (string, error) {
	var paths []string
	for _, e := range entries {
		paths = append(paths, e.Path)
	}
	if err := CheckPaths(paths); err != nil {
		return "", err
	}
	load := dir
	for _, e := range entries {
		src, err := s.Path(e.Digest)
		if err != nil {
			return "", err
		}
		dst := filepath.Join(dir, filepath.FromSlash(e.Path))
		if err := link(src, dst); err != nil {
			return "", fmt.Errorf("blob: %s: %w", e.Path, s.noSpace(err, 0))
		}
		if strings.HasSuffix(e.Path, ".gguf") && load == dir {
			load = dst
		}
	}
	return load, nil
}

func link(src, dst string) error {
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return err
	}
	err := os.Link(src, dst)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	a, err := os.Stat(src)
	if err != nil {
		return err
	}
	if b, err := os.Lstat(dst); err == nil && os.SameFile(a, b) {
		return nil
	}
	if err := os.RemoveAll(dst); err != nil {
		return err
	}
	return os.Link(src, dst)
}
