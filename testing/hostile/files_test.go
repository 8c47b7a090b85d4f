package hostile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// least is how many files the table must hold.
const least = 500

// file is one hostile model.
type file struct {
	name string
	// write lays it out in an empty directory and says what to open there.
	write func(dir string) (open string, err error)
	kind  kind
	say   []string // what the refusal must name
}

// kind says whether a refusal is of the right sort.
type kind func(error) bool

// is wants one of the errors that packages name.
func is(any ...error) kind {
	return func(err error) bool {
		for _, want := range any {
			if errors.Is(err, want) {
				return true
			}
		}
		return false
	}
}

// as wants a type of error.
func as[T error]() kind {
	return func(err error) bool {
		var want T
		return errors.As(err, &want)
	}
}

var (
	badConfig   = as[*model.ConfigError]()
	unsupported = as[*model.UnsupportedError]()
	badTokens   = is(tokenizer.ErrFormat, tokenizer.ErrUnsupported)
	badTemplate = func(err error) bool { return as[*chat.SyntaxError]()(err) || as[*chat.LimitError]()(err) }
)

// TestHostileFiles opens every file of the table.
func TestHostileFiles(t *testing.T) {
	groups := map[string][]file{
		"gguf cut": ggufCut(t), "gguf field": ggufFields(t), "gguf key": ggufKeys(t), "gguf split": ggufSplits(t),
		"safetensors": safetensorsFiles(t), "index": indexFiles(t), "config": configFiles(t),
		"tokenizer": tokenizerFiles(t), "beside": besideFiles(t), templateGroup: templateFiles(t), "directory": directories(t),
	}
	total := 0
	names := map[string]bool{}
	for group, files := range groups {
		t.Logf("%s: %d files", group, len(files))
		total += len(files)
		for _, f := range files {
			name := group + ": " + f.name
			if names[name] {
				t.Errorf("%s is in the table twice", name)
			}
			names[name] = true
			room := uint64(footprint)
			if group == templateGroup {
				room = templateRoom
			}
			meet(t, name, f, room)
		}
	}
	t.Logf("%d hostile files", total)
	if total < least {
		t.Errorf("%d hostile files, want at least %d", total, least)
	}
}

// Bounds on a refusal: time so long that only a loop reaches it, and memory of four
// times the files beside what the tiny model itself costs.
const (
	patience  = 20 * time.Second
	footprint = 16 << 20
	// templateRoom is for templates, which are read to their end, whatever their depth,
	// before they are judged; none may have more than a megabyte.
	templateRoom  = 80 << 20
	templateGroup = "template"
)

// meet opens one file and judges the refusal; it may cost room beside four times the
// bytes of the files.
func meet(t *testing.T, name string, f file, room uint64) {
	dir := t.TempDir()
	path, err := f.write(dir)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var before, after runtime.MemStats
	done := make(chan error, 1)
	runtime.ReadMemStats(&before)
	go func() { done <- load(path) }()
	select {
	case err = <-done:
	case <-time.After(patience):
		t.Fatalf("%s: no answer after %v", name, patience)
	}
	runtime.ReadMemStats(&after)
	if got, bound := after.TotalAlloc-before.TotalAlloc, 4*size(dir)+room; got > bound {
		t.Errorf("%s: %d bytes were allocated, bound %d", name, got, bound)
	}
	switch text := ""; {
	case err == nil:
		t.Errorf("%s was accepted", name)
	case !f.kind(err):
		t.Errorf("%s: wrong kind of error: %v", name, err)
	default:
		text = err.Error()
		for _, say := range f.say {
			if !strings.Contains(text, say) {
				t.Errorf("%s: %q does not name %q", name, text, say)
			}
		}
		if len(text) > 4096 {
			t.Errorf("%s: the refusal takes %d bytes", name, len(text))
		}
	}
	os.RemoveAll(dir)
}

// load opens a model as an engine does, and reads every weight.
func load(path string) (err error) {
	m, err := model.Load(path)
	if err != nil {
		return err
	}
	defer m.Close()
	for _, err := range m.Tensors() {
		if err != nil {
			return err
		}
	}
	return nil
}

// size of all files in dir, also of those that it links to.
func size(dir string) (n uint64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
			n += uint64(info.Size())
		}
	}
	return n
}

// one writes a single file.
func one(name string, text []byte) func(string) (string, error) {
	return func(dir string) (string, error) {
		path := filepath.Join(dir, name)
		return path, os.WriteFile(path, text, 0o600)
	}
}
