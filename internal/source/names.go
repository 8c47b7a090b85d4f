package source

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what a source may say.
const (
	maxFiles = 4096    // of one model, as of a version
	maxBytes = 1 << 50 // of one file
	maxText  = 64 << 20
)

// checkPath refuses names that could leave the directory they are fetched into.
func checkPath(where, name string) error {
	switch {
	case name == "" || len(name) > 1024:
		return fmt.Errorf("%s: a file's name has %d bytes, must be 1 to 1024", where, len(name))
	case !filepath.IsLocal(name) || path.Clean(name) != name || strings.ContainsAny(name, "\\\x00\n\r"):
		return fmt.Errorf("%s: it names a file %q, which is no clean path within the model; nothing was fetched", where, name)
	}
	return nil
}

// pickles are extensions of files that run code when they are read.
var pickles = []string{".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}

func isPickle(name string) bool {
	return slices.Contains(pickles, strings.ToLower(path.Ext(name)))
}

// refusePickle says why a file is not taken.
func refusePickle(where, name string) error {
	return fmt.Errorf("%s: %s is a pickle file, which may run code when it is read, so it never is; take a safetensors or GGUF version of the model", where, name)
}

func isGGUF(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".gguf") }

var partForm = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// splitPart reads the name of one part of a split GGUF file; n is 0 for another file.
func splitPart(name string) (base string, part, n int) {
	m := partForm.FindStringSubmatch(name)
	if m == nil {
		return "", 0, 0
	}
	part, _ = strconv.Atoi(m[2]) // five digits
	n, _ = strconv.Atoi(m[3])
	return m[1], part, n
}

func partName(base string, part, n int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", base, part, n)
}

// allParts lists the names of a split file of which name is the first part, or just
// name where it is whole.
func allParts(name string) ([]string, error) {
	base, part, n := splitPart(name)
	switch {
	case n == 0:
		return []string{name}, nil
	case part != 1:
		return nil, fmt.Errorf("%s is part %d of %d; name the first part, %s, and the others follow", path.Base(name), part, n, path.Base(partName(base, 1, n)))
	case n > maxFiles:
		return nil, fmt.Errorf("%s: %d parts, at most %d", name, n, maxFiles)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = partName(base, i+1, n)
	}
	return names, nil
}
