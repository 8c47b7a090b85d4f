package api

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wanted says what a model on this machine looks like.
const wanted = "want a .gguf file, or a Hugging Face directory with config.json, tokenizer.json and *.safetensors"

// checkFile refuses a file that cannot be a model by itself, before it is hashed.
func checkFile(path string) error {
	switch filepath.Ext(path) {
	case ".safetensors", ".json", ".jinja", ".model", ".txt":
		return fmt.Errorf("%s: is one file of a model; name its directory, %s", path, filepath.Dir(path))
	}
	if _, err := localFile(filepath.Split(path)); err != nil {
		return err // which has no end, maybe
	}
	is, err := isGGUF(path)
	switch {
	case err != nil:
		return err
	case !is:
		return fmt.Errorf("%s: is no model, for a GGUF file begins with the letters GGUF; %s", path, wanted)
	case filepath.Ext(path) != ".gguf":
		return fmt.Errorf("%s: holds GGUF, but its name does not say so; give it a name that ends in .gguf", path)
	}
	return nil
}

// isGGUF tells whether a file begins as GGUF does.
func isGGUF(path string) (bool, error) {
	const magic = "GGUF"
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%s: is empty; %s", path, wanted)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(head[:n]) == magic, nil
}

// checkDirectory refuses a directory that cannot be one model, before it is hashed.
func checkDirectory(dir string, entries []os.DirEntry, files []LocalFile) error {
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Rel)
	}
	ggufs := GGUFs(paths)
	tensors := slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, ".safetensors") })
	for _, e := range entries {
		if !tensors && len(ggufs) == 0 && isPickle(e.Name()) {
			return fmt.Errorf("%s: its weights are pickle (%s), which may run code when it is read, so it never is; take a safetensors or GGUF version of the model", dir, e.Name())
		}
	}
	switch {
	case len(ggufs) > 1 && !AreParts(ggufs):
		return fmt.Errorf("%s: holds %d .gguf files that are not the parts of one; name a file instead of the directory", dir, len(ggufs))
	case !tensors && len(ggufs) == 0:
		return fmt.Errorf("%s: holds no weights, neither *.safetensors nor a .gguf file; %s", dir, wanted)
	}
	return nil
}

// checkComplete refuses files that no engine can serve for want of another. They may
// be looked at all the same.
func checkComplete(files []LocalFile) error {
	has := func(names ...string) bool {
		return slices.ContainsFunc(files, func(f LocalFile) bool {
			return slices.Contains(names, f.Rel) || slices.Contains(names, filepath.Ext(f.Rel))
		})
	}
	if len(files) == 0 || has(".gguf") {
		return nil
	}
	weights := slices.IndexFunc(files, func(f LocalFile) bool { return filepath.Ext(f.Rel) == ".safetensors" })
	dir := filepath.Dir(files[max(weights, 0)].Abs)
	switch {
	case !has("config.json"):
		return fmt.Errorf("%s: holds no config.json, which says what model the weights are; copy it from where they came from", dir)
	case !has("tokenizer.json", "tokenizer.model"):
		return fmt.Errorf("%s: holds no tokenizer.json (nor tokenizer.model); copy it from where the weights came from", dir)
	}
	return nil
}

// isPickle knows the names under which torch saves.
func isPickle(name string) bool {
	return slices.Contains([]string{".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}, strings.ToLower(filepath.Ext(name)))
}
