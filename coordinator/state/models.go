package state

import "strings"

// AddModelVersion records a version once its bytes are held; the first version of a
// model creates the model.
type AddModelVersion struct {
	Version Version `json:"version"`
}

// RemoveVersion removes a version that nothing uses; with its last version the model
// goes too.
type RemoveVersion struct {
	Project string `json:"project"`
	ID      string `json:"id"`
}

// RemoveModel removes a model and all its versions, if nothing uses them.
type RemoveModel struct {
	Project string `json:"project"`
	Name    string `json:"name"`
}

// Kind of command.
func (*AddModelVersion) Kind() Kind { return KindAddModelVersion }

// Kind of command.
func (*RemoveVersion) Kind() Kind { return KindRemoveVersion }

// Kind of command.
func (*RemoveModel) Kind() Kind { return KindRemoveModel }

const (
	filesMax     = 4096
	chunkSizeMin = 4 << 10
	chunkSizeMax = 1 << 30
)

func (m *Model) check() error {
	return firstOf(
		checkName("model", "name", m.Name),
		checkTime("model", m.Name, "created_ms", m.CreatedMS),
	)
}

func (v *Version) check() error {
	if n := len(v.Files); n == 0 || n > filesMax {
		return invalid("version", v.ID, "files", "%d, want 1 to %d", n, filesMax)
	}
	seen := map[string]bool{}
	for i := range v.Files {
		f := &v.Files[i]
		if err := f.check(v.ID); err != nil {
			return err
		}
		if seen[f.Path] {
			return invalid("version", v.ID, "files", "%q is there twice", f.Path)
		}
		seen[f.Path] = true
	}
	return firstOf(
		checkName("version", "id", v.ID),
		checkName("version", "model", v.Model),
		checkTime("version", v.ID, "created_ms", v.CreatedMS),
		checkText("version", v.ID, "info.architecture", v.Info.Architecture),
		checkText("version", v.ID, "info.format", v.Info.Format),
		checkText("version", v.ID, "info.quantisation", v.Info.Quantisation),
		checkText("version", v.ID, "origin.source", v.Origin.Source),
		checkText("version", v.ID, "origin.revision", v.Origin.Revision),
		checkText("version", v.ID, "origin.licence", v.Origin.Licence),
	)
}

func (f *File) check(version string) error {
	if !cleanPath(f.Path) {
		return invalid("version", version, "files.path", "%q is not a clean relative path", clip(f.Path))
	}
	digest, ok := strings.CutPrefix(f.Digest, "sha256:")
	if !ok {
		return invalid("version", version, "files.digest", "%q of %s does not begin with sha256:", clip(f.Digest), f.Path)
	}
	if err := checkHash("version", version, "files.digest of "+f.Path, digest); err != nil {
		return err
	}
	if f.ChunkSize < chunkSizeMin || f.ChunkSize > chunkSizeMax {
		return invalid("version", version, "files.chunk_size", "%d of %s, want %d to %d bytes",
			f.ChunkSize, f.Path, chunkSizeMin, chunkSizeMax)
	}
	if want := chunksOf(f.Size, f.ChunkSize); uint64(len(f.Chunks)) != want {
		return invalid("version", version, "files.chunks", "%d of %s, want %d for %d bytes",
			len(f.Chunks), f.Path, want, f.Size)
	}
	for _, c := range f.Chunks {
		if err := checkHash("version", version, "files.chunks of "+f.Path, c); err != nil {
			return err
		}
	}
	return nil
}

// chunksOf counts the chunks of a file, rounding up without overflow.
func chunksOf(size uint64, chunk uint32) uint64 {
	n := size / uint64(chunk)
	if size%uint64(chunk) != 0 {
		n++
	}
	return n
}

func (c *AddModelVersion) apply(tx *txn) error {
	v := c.Version
	if err := firstOf(v.check(), tx.inProject(v.Project)); err != nil {
		return err
	}
	if one[Version](tx.reader, tableVersions, byID, v.ID) != nil {
		return exists("version", v.ID)
	}
	if one[Model](tx.reader, tableModels, byID, v.Project, v.Model) == nil {
		tx.put(tableModels, &Model{Name: v.Model, Project: v.Project, CreatedMS: v.CreatedMS})
	}
	tx.put(tableVersions, &v)
	return nil
}

func (c *RemoveVersion) apply(tx *txn) error {
	v := one[Version](tx.reader, tableVersions, byID, c.ID)
	if v == nil || v.Project != c.Project {
		return notFound("version", clip(c.ID))
	}
	if err := tx.unused(v); err != nil {
		return err
	}
	remove(tx, tableVersions, v)
	if len(all[Version](tx.reader, tableVersions, byModel, v.Project, v.Model)) == 0 {
		remove(tx, tableModels, one[Model](tx.reader, tableModels, byID, v.Project, v.Model))
	}
	return nil
}

func (c *RemoveModel) apply(tx *txn) error {
	m := one[Model](tx.reader, tableModels, byID, c.Project, c.Name)
	if m == nil {
		return notFound("model", clip(c.Name))
	}
	versions := all[Version](tx.reader, tableVersions, byModel, m.Project, m.Name)
	for _, v := range versions {
		if err := tx.unused(v); err != nil {
			return err
		}
	}
	remove(tx, tableVersions, versions...)
	remove(tx, tableModels, m)
	return nil
}

// unused refuses to remove a version that is deployed or still runs.
func (tx *txn) unused(v *Version) error {
	if d := one[Deployment](tx.reader, tableDeployments, byVersion, v.ID); d != nil {
		return conflict("model", v.Model, "version %s is used by deployment %q", v.ID, d.Name)
	}
	if i := one[Instance](tx.reader, tableInstances, byVersion, v.ID); i != nil {
		return conflict("model", v.Model, "version %s still runs as instance %s", v.ID, i.ID)
	}
	return nil
}
