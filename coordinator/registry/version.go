package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/internal/blob"
)

// VersionID names a version by its content: the same files under the same name are
// the same version, whoever adds them and when.
func VersionID(project, name string, files []state.File) string {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b state.File) int { return cmp.Compare(a.Path, b.Path) })
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\n", project, name)
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%d\x00%s\n", f.Path, f.Size, f.Digest)
	}
	return "v-" + hex.EncodeToString(h.Sum(nil))[:12]
}

// Commit makes a version of files whose chunks have all arrived. The files are
// verified whole and their metadata is read, so that what cannot be served is
// refused here, by name, and never recorded.
func (r *Registry) Commit(_ context.Context, project, name string, files []state.File) (state.Version, error) {
	if err := checkFiles(files); err != nil {
		return state.Version{}, err
	}
	r.commits.Lock()
	defer r.commits.Unlock()
	for _, f := range files {
		if err := r.finish(f); err != nil {
			return state.Version{}, err
		}
	}
	v := state.Version{ID: VersionID(project, name, files), Model: name, Project: project, Files: files}
	meta, err := r.Meta(v)
	if err != nil {
		if serr := storeError(err); serr != err {
			return state.Version{}, serr
		}
		if derr := r.dropRefused(v); derr != nil {
			return state.Version{}, errors.Join(err, derr)
		}
		where := filepath.Join(r.versions, v.ID) // of no use to whoever sent the files
		return state.Version{}, refuse(http.StatusUnprocessableEntity, "the files are no model that can be served: %s",
			strings.ReplaceAll(err.Error(), where, name))
	}
	v.Info = state.VersionInfo{
		Architecture: meta.Arch,
		Format:       format(files),
		Parameters:   meta.Params,
		Context:      meta.Context,
		Quantisation: quantisation(meta),
		HasTemplate:  meta.Template != nil || len(meta.Templates) > 0,
		Pooling:      meta.Config.Pooling.String(),
	}
	return v, nil
}

// dropRefused removes the bytes of files that are no model, except those that a
// version is laid out with: these have more than one link.
func (r *Registry) dropRefused(v state.Version) error {
	if err := os.RemoveAll(filepath.Join(r.versions, v.ID)); err != nil {
		return err
	}
	for _, f := range v.Files {
		path, err := r.blobs.Path(f.Digest)
		if err != nil {
			continue // named twice, and dropped already
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return fmt.Errorf("registry: stat %s: %w", path, err)
		}
		if st.Nlink > 1 {
			continue
		}
		if err := r.blobs.Delete(f.Digest); err != nil {
			return err
		}
	}
	return nil
}

// format of the files, as people call it.
func format(files []state.File) string {
	for _, f := range files {
		if strings.HasSuffix(f.Path, ".gguf") {
			return "gguf"
		}
	}
	return "safetensors"
}

// quantisation is the element type that most of the weights' bytes have.
func quantisation(m *model.Meta) string {
	bytes := map[abi.DType]uint64{}
	var most abi.DType
	for _, w := range m.Weights {
		bytes[w.DType] += w.Bytes()
		if bytes[w.DType] > bytes[most] {
			most = w.DType
		}
	}
	return most.String()
}

// Meta reads a version's metadata, once.
func (r *Registry) Meta(v state.Version) (*model.Meta, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.metas[v.ID]; m != nil {
		return m, nil
	}
	path, err := r.assemble(v)
	if err != nil {
		return nil, err
	}
	m, err := model.LoadMeta(path)
	if err != nil {
		return nil, err
	}
	r.metas[v.ID] = m
	return m, nil
}

// assemble lays a version's files out under their names, as links to the blobs, and
// gives the path to load: the GGUF file where there is one, else the directory.
func (r *Registry) assemble(v state.Version) (string, error) {
	var entries []blob.Entry
	for _, f := range v.Files {
		entries = append(entries, blob.Entry{Path: f.Path, Digest: f.Digest})
	}
	return r.blobs.Assemble(filepath.Join(r.versions, v.ID), entries)
}

// Forget drops the assembled files of versions that were removed, and those of their
// blobs that no recorded version names.
func (r *Registry) Forget(removed, recorded []state.Version) error {
	keep, named := map[string]bool{}, map[string]bool{}
	for _, v := range recorded {
		keep[v.ID] = true
		for _, f := range v.Files {
			named[f.Digest] = true
		}
	}
	r.commits.Lock() // a commit under way may be about to use these blobs
	defer r.commits.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range removed {
		if keep[v.ID] {
			continue
		}
		delete(r.metas, v.ID)
		if err := os.RemoveAll(filepath.Join(r.versions, v.ID)); err != nil {
			return err
		}
		for _, f := range v.Files {
			if named[f.Digest] || !r.blobs.Has(f.Digest) {
				continue
			}
			if err := r.blobs.Delete(f.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}
