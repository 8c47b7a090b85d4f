package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/inspect"
	"github.com/nanofleet/nanofleet/internal/source"
	"github.com/nanofleet/nanofleet/internal/words"
)

// sourceFlags say how the source of a model is reached.
type sourceFlags struct {
	endpoint  string
	tokenFile string
	file      string
	sha256    string
	cache     string
	keep      bool
}

// reach adds the flags that a look at a source needs.
func (s *sourceFlags) reach(f *pflag.FlagSet) {
	f.StringVar(&s.endpoint, "endpoint", "", "Hugging Face Hub to ask (env HF_ENDPOINT; default "+source.DefaultEndpoint+")")
	f.StringVar(&s.tokenFile, "token-file", "", "file that holds a token of the Hub (env HF_TOKEN holds the token itself)")
	f.StringVar(&s.file, "file", "", "the .gguf file of a Hub's repository to take")
	f.StringVar(&s.sha256, "sha256", "", "hex sha256 that the file of a URL must have")
}

// fetch adds those that a download needs besides.
func (s *sourceFlags) fetch(f *pflag.FlagSet) {
	s.reach(f)
	f.StringVar(&s.cache, "cache", "", "directory for downloads (default: nanofleet/downloads in the user's cache)")
	f.BoolVar(&s.keep, "keep", false, "keep the download once the fleet has it")
}

func (s *sourceFlags) options() (source.Options, error) {
	o := source.Options{Endpoint: cmp.Or(s.endpoint, os.Getenv("HF_ENDPOINT")), File: s.file, SHA256: strings.ToLower(s.sha256)}
	var err error
	if s.tokenFile != "" {
		o.Token, err = source.TokenFile(s.tokenFile)
	} else {
		o.Token, err = source.HubToken()
	}
	if err != nil {
		return o, fmt.Errorf("token of the Hub: %w", err)
	}
	return o, nil
}

// check refuses flags that mean nothing for ref.
func (s *sourceFlags) check(ref string) error {
	if s.file != "" && !strings.HasPrefix(ref, "hf:") {
		return usagef("--file: is for a repository of a Hub, as in hf:org/name")
	}
	if s.sha256 != "" && !strings.HasPrefix(ref, "http") {
		return usagef("--sha256: is for a URL; a Hub and an Ollama store say their files' digests themselves")
	}
	return nil
}

// resolve asks the source what its files are.
func (s *sourceFlags) resolve(ctx context.Context, ref string) (*source.Model, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	m, err := source.Resolve(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	for _, note := range m.Notes {
		fmt.Fprintf(os.Stderr, "%s: %s\n", ref, note)
	}
	return m, nil
}

// nameOf is what a model is called when nobody says.
func nameOf(ref string) string {
	if source.IsRemote(ref) {
		return source.ShortName(ref)
	}
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(ref), ".gguf"))
	base, _, _ := strings.Cut(name, "-00001-of-")
	return base
}

// add brings the model at ref into the fleet: fetched first where it lies elsewhere.
func (s *sourceFlags) add(ctx context.Context, client *api.Client, name, ref string) (api.Version, error) {
	if err := s.check(ref); err != nil {
		return api.Version{}, err
	}
	progress, finish := meters()
	defer finish()
	if !source.IsRemote(ref) {
		return addLocal(ctx, client, name, ref, progress)
	}
	m, err := s.resolve(ctx, ref)
	if err != nil {
		return api.Version{}, err
	}
	if v, ok, err := known(ctx, client, name, m); err != nil || ok {
		return v, err
	}
	fmt.Fprintf(os.Stderr, "%s%s: %s, %s\n", m.Source, at(m.Revision), words.Count(len(m.Files), "file"), size(m.Bytes()))
	if err := s.bring(ctx, m, progress); err != nil {
		return api.Version{}, err
	}
	v, err := client.AddFiles(ctx, name, localFiles(m), origin(m), progress)
	if err != nil || s.keep {
		return v, err
	}
	return v, m.Discard()
}

// bring downloads what is not on this machine.
func (s *sourceFlags) bring(ctx context.Context, m *source.Model, progress api.Progress) error {
	cache := s.cache
	if cache == "" {
		var err error
		if cache, err = source.CacheDir(); err != nil {
			return err
		}
	}
	return m.Fetch(ctx, cache, func(done, total uint64) { progress("fetch", done, total) })
}

func at(revision string) string {
	if revision == "" {
		return ""
	}
	return " at " + revision
}

// known finds a version that came from the very same place: nothing need be fetched.
func known(ctx context.Context, client *api.Client, name string, m *source.Model) (api.Version, bool, error) {
	models, err := client.Models(ctx) // which also tells a wrong key before a download
	if err != nil || m.Revision == "" {
		return api.Version{}, false, err
	}
	for _, have := range models {
		if have.Name != name {
			continue
		}
		for _, v := range have.Versions {
			if v.Origin.Source == m.Source && v.Origin.Revision == m.Revision {
				return v, true, nil
			}
		}
	}
	return api.Version{}, false, nil
}

func addLocal(ctx context.Context, client *api.Client, name, path string, progress api.Progress) (api.Version, error) {
	files, err := localModel(path, "")
	if err != nil {
		return api.Version{}, err
	}
	v, err := client.AddFiles(ctx, name, files, api.Origin{Licence: licence(path)}, progress)
	return v, ofPath(path, err)
}

// localModel lists the files of a model on this machine; what else a reference may be is
// said of one that is nothing.
func localModel(path, other string) ([]api.LocalFile, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w; want a path on this machine, %s%s", err, other, source.Forms)
	}
	return api.LocalModel(path)
}

// ofPath says of a refusal of what the files hold where they lie: the fleet knows
// their names in the model alone.
func ofPath(path string, err error) error {
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// licence is what the files of a model say of theirs; what is wrong with the files, the
// fleet says.
func licence(path string) string {
	in, err := inspect.Model(path, false)
	if err != nil || len(in.Licence) > 256 {
		return ""
	}
	return in.Licence
}

func localFiles(m *source.Model) []api.LocalFile {
	var files []api.LocalFile
	for _, f := range m.Files {
		files = append(files, api.LocalFile{Abs: f.Local, Rel: f.Path, Size: f.Size, SHA256: f.SHA256})
	}
	return files
}

// origin of a fetched model; a file's own word on its licence stands in for the source's.
func origin(m *source.Model) api.Origin {
	from := api.Origin{Source: m.Source, Revision: m.Revision, Licence: m.Licence}
	if first := m.Files[0]; from.Licence == "" && strings.HasSuffix(first.Local, ".gguf") {
		from.Licence = licence(first.Local)
	}
	return from
}
