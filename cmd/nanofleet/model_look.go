package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nanofleet/nanofleet/coordinator/inspect"
	"github.com/nanofleet/nanofleet/internal/source"
)

// outputFlag is -o, which says table or json as other tools have it.
func outputFlag(f *pflag.FlagSet, into *string) {
	f.StringVarP(into, "output", "o", "table", "table, or json for programs")
}

// takeOutput lets -o json mean --json.
func (o *options) takeOutput(output string) error {
	switch output {
	case "table":
	case "json":
		o.json = true
	default:
		return usagef("--output %q: want table or json", output)
	}
	return nil
}

// inFleet takes apart NAME[@version]; ok is false for what lies on this machine or at a
// source. A path wins over a model's name; ./ before it makes it one for sure.
func inFleet(ref string) (name, version string, ok bool) {
	if source.IsRemote(ref) || strings.ContainsRune(ref, filepath.Separator) || strings.HasSuffix(ref, ".gguf") {
		return "", "", false
	}
	if _, err := os.Stat(ref); err == nil {
		return "", "", false
	}
	name, version, _ = strings.Cut(ref, "@")
	return name, version, true
}

// look gives a path at which a model that is not in the fleet can be inspected: its own,
// or headers that were read from its source. Call done in the end.
func (s *sourceFlags) look(ctx context.Context, ref string) (path string, m *source.Model, done func(), err error) {
	none := func() {}
	if err := s.check(ref); err != nil {
		return "", nil, none, err
	}
	if !source.IsRemote(ref) {
		_, err := localModel(ref, "the name of a model of the fleet, ")
		return ref, nil, none, err
	}
	if m, err = s.resolve(ctx, ref); err != nil {
		return "", nil, none, err
	}
	if m.IsLocal() && len(m.Files) == 1 {
		return s.linked(m)
	}
	dir, err := os.MkdirTemp("", "nanofleet-headers-")
	if err != nil {
		return "", nil, none, err
	}
	done = func() { _ = os.RemoveAll(dir) } // it is the system's to clear what stays
	var files []inspect.RemoteFile
	for _, f := range m.Files {
		files = append(files, inspect.RemoteFile{Path: f.Path, Size: f.Size})
	}
	path, err = inspect.Sparse(ctx, m, files, dir)
	return path, m, done, err
}

// linked gives a blob of a store the name of a GGUF file.
func (s *sourceFlags) linked(m *source.Model) (string, *source.Model, func(), error) {
	dir, err := os.MkdirTemp("", "nanofleet-link-")
	if err != nil {
		return "", nil, func() {}, err
	}
	path := filepath.Join(dir, m.Files[0].Path)
	return path, m, func() { _ = os.RemoveAll(dir) }, os.Symlink(m.Files[0].Local, path)
}
