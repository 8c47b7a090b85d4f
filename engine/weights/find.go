package weights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pickled are the endings of formats that may run code as they are read.
var pickled = []string{".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".nemo", ".keras", ".h5"}

// IsPickled says by its name whether a file is in a format that may run code as it is
// read; such files are never opened.
func IsPickled(name string) bool {
	return slices.Contains(pickled, strings.ToLower(filepath.Ext(name)))
}

// Find gives the file to open for path: path itself, or in a directory
// model.safetensors, the index of its shards, or the one GGUF file (the first part,
// where it is split). What has the name of a pickled format is refused.
func Find(path string) (string, error) {
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case stat.IsDir():
		return findInside(path)
	case IsPickled(path):
		return "", fmt.Errorf("%s: %w", path, ErrPickle)
	}
	return path, nil
}

// findInside prefers the single safetensors file.
func findInside(dir string) (string, error) {
	for _, name := range []string{singleName, indexName} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return path, nil
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var ggufs []string
	odd := ""
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".gguf") {
			ggufs = append(ggufs, e.Name())
		} else if odd == "" && IsPickled(e.Name()) {
			odd = e.Name()
		}
	}
	switch {
	case len(ggufs) == 1 || isSplit(ggufs):
		return filepath.Join(dir, ggufs[0]), nil
	case len(ggufs) > 1:
		return "", fmt.Errorf("%s: %d .gguf files (%q, %q, ...) that are not all parts of one: name the one to open", dir, len(ggufs), ggufs[0], ggufs[1])
	case odd != "":
		return "", fmt.Errorf("%s: %w", filepath.Join(dir, odd), ErrPickle)
	}
	return "", fmt.Errorf("%s: no %s, %s or .gguf file: %w", dir, singleName, indexName, os.ErrNotExist)
}

// isSplit says whether names, sorted, are all parts of one GGUF file.
func isSplit(names []string) bool {
	if len(names) == 0 {
		return false
	}
	base, _, count := splitName(names[0])
	for i, name := range names {
		if uint64(len(names)) != count || name != partName(base, uint64(i+1), count) {
			return false
		}
	}
	return true
}
