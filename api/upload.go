package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// ChunkSize is what AddModel cuts files into: large enough that hashing and HTTP
// cost little, small enough that little is sent twice after a cut.
const ChunkSize = 8 << 20

// Progress is called as bytes are worked through; phase is "hash" or "send".
type Progress func(phase string, done, total uint64)

// AddModel is AddFiles for the model at path: a GGUF file, whole or the first part of a
// split one, or a directory.
func (c *Client) AddModel(ctx context.Context, name, path string, progress Progress) (Version, error) {
	files, err := LocalModel(path)
	if err != nil {
		return Version{}, err
	}
	return c.AddFiles(ctx, name, files, Origin{}, progress)
}

// AddFiles hashes files, sends the chunks the fleet lacks and records the version.
// Repeating it after a cut goes on where it stopped; repeating it after success changes
// nothing.
func (c *Client) AddFiles(ctx context.Context, name string, files []LocalFile, origin Origin, progress Progress) (Version, error) {
	if err := checkComplete(files); err != nil {
		return Version{}, err
	}
	up, err := describe(ctx, files, progress)
	if err != nil {
		return Version{}, err
	}
	up.Origin = origin
	st, err := c.BeginUpload(ctx, name, up)
	if err != nil {
		return Version{}, err
	}
	if err := c.sendMissing(ctx, files, up, st, progress); err != nil {
		return Version{}, err
	}
	return c.CommitVersion(ctx, name, up)
}

// LocalFile is one file to add: where it lies and what it is called in the model.
type LocalFile struct {
	Abs, Rel string
	Size     uint64
	SHA256   string // hex, which it must have; "" for whatever it has
}

// LocalModel lists what belongs to the model at path. In a directory these are the
// weights and the JSON, text and template files beside them; what lies further down
// (other formats, other precisions) is not the model's. A first part of a split GGUF
// file brings the others.
func LocalModel(path string) (files []LocalFile, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return localFiles(filepath.Dir(path), filepath.Base(path))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		names := []string{e.Name()}
		if e.IsDir() {
			names, err = below(path, e.Name())
		} else if !belongs(e.Name()) {
			names = nil
		}
		for _, name := range names {
			f, err := localFile(path, name)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, checkDirectory(path, entries, files)
}

// below lists what belongs to a model in a directory of its own: chat templates by
// their names, and how a model for embeddings pools.
func below(dir, name string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, name))
	for _, e := range entries {
		if rel := name + "/" + e.Name(); !e.IsDir() && belongsBelow(rel) {
			names = append(names, rel)
		}
	}
	return names, err
}

// belongsBelow knows the files of a model that do not lie beside its weights.
func belongsBelow(rel string) bool {
	dir, name, _ := strings.Cut(rel, "/")
	return dir == "additional_chat_templates" && filepath.Ext(name) == ".jinja" && !strings.HasPrefix(name, ".") ||
		strings.HasSuffix(dir, "_Pooling") && name == "config.json"
}

// localFiles describes one file, or all parts of the one that it begins.
func localFiles(dir, name string) (files []LocalFile, err error) {
	if isPickle(name) {
		return nil, fmt.Errorf("%s: is a pickle file, which may run code when it is read, so it never is; take a safetensors or GGUF version of the model", filepath.Join(dir, name))
	}
	if err := checkFile(filepath.Join(dir, name)); err != nil {
		return nil, err
	}
	names, err := partsFrom(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for _, n := range names {
		f, err := localFile(dir, n)
		if errors.Is(err, os.ErrNotExist) && len(names) > 1 {
			return nil, fmt.Errorf("%w: %s has %d parts, and all must lie in one directory", err, name, len(names))
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// localFile describes one file; the links of a Hugging Face cache are followed. What
// is no regular file may have no end.
func localFile(dir, name string) (LocalFile, error) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Stat(path)
	if err != nil {
		return LocalFile{}, err
	}
	if !info.Mode().IsRegular() {
		return LocalFile{}, fmt.Errorf("%s: not a regular file", path)
	}
	return LocalFile{Abs: path, Rel: name, Size: uint64(info.Size())}, nil
}

// GGUFs picks the GGUF files out of a model's paths.
func GGUFs(paths []string) (list []string) {
	for _, p := range paths {
		if strings.HasSuffix(p, ".gguf") {
			list = append(list, p)
		}
	}
	return list
}

// AreParts tells whether paths are all parts of one split GGUF file, in their order.
func AreParts(paths []string) bool {
	if len(paths) == 0 {
		return false
	}
	base, _, _ := strings.Cut(paths[0], "-00001-of-")
	for i, p := range paths {
		if p != fmt.Sprintf("%s-%05d-of-%05d.gguf", base, i+1, len(paths)) {
			return false
		}
	}
	return true
}

var partForm = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// partsFrom lists the parts of a split GGUF file by the name of its first one; a whole
// file is its own only part.
func partsFrom(name string) ([]string, error) {
	m := partForm.FindStringSubmatch(name)
	if m == nil {
		return []string{name}, nil
	}
	if m[2] != "00001" {
		return nil, fmt.Errorf("%s is not the first part; name %s-00001-of-%s.gguf and the others follow", name, m[1], m[3])
	}
	n, _ := strconv.Atoi(m[3]) // five digits
	names := make([]string, max(n, 1))
	for i := range names {
		names[i] = fmt.Sprintf("%s-%05d-of-%s.gguf", m[1], i+1, m[3])
	}
	return names, nil
}

func belongs(name string) bool {
	switch filepath.Ext(name) {
	case ".safetensors", ".gguf", ".json", ".jinja", ".model", ".txt":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

func describe(ctx context.Context, files []LocalFile, progress Progress) (Upload, error) {
	var up Upload
	var done, total uint64
	for _, f := range files {
		total += f.Size
	}
	for _, f := range files {
		d, err := describeFile(ctx, f, func(n uint64) {
			done += n
			if progress != nil {
				progress("hash", done, total)
			}
		})
		if err != nil {
			return Upload{}, err
		}
		if f.SHA256 != "" && d.Digest != "sha256:"+f.SHA256 {
			return Upload{}, fmt.Errorf("%s: its digest is %s, its source says sha256:%s; it is damaged, and is not used", f.Abs, d.Digest, f.SHA256)
		}
		up.Files = append(up.Files, d)
	}
	return up, nil
}

// describeFile reads the file once, hashing the whole and its chunks.
func describeFile(ctx context.Context, s LocalFile, step func(n uint64)) (File, error) {
	f, err := os.Open(s.Abs)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	d := File{Path: s.Rel, ChunkSize: ChunkSize, Chunks: []string{}}
	whole := sha256.New()
	buf := make([]byte, ChunkSize)
	for {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			whole.Write(buf[:n])
			sum := sha256.Sum256(buf[:n])
			d.Chunks = append(d.Chunks, hex.EncodeToString(sum[:]))
			d.Size += uint64(n)
			step(uint64(n))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return File{}, err
		}
		if err := ctx.Err(); err != nil {
			return File{}, err
		}
	}
	d.Digest = digestOf(whole)
	return d, nil
}

func digestOf(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// sendMissing sends what the fleet lacks.
func (c *Client) sendMissing(ctx context.Context, files []LocalFile, up Upload, st UploadState, progress Progress) error {
	var total, done uint64
	for _, f := range up.Files {
		for _, n := range st.Missing[f.Digest] {
			total += f.chunkLen(n)
		}
	}
	sent := map[string]bool{} // two paths may hold the same bytes
	for i, f := range up.Files {
		if sent[f.Digest] {
			continue
		}
		sent[f.Digest] = true
		err := c.sendFile(ctx, files[i].Abs, f, st.Missing[f.Digest], func(n uint64) {
			done += n
			if progress != nil {
				progress("send", done, total)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) sendFile(ctx context.Context, abs string, d File, missing []int, step func(n uint64)) error {
	if len(missing) == 0 {
		return nil
	}
	f, err := os.Open(abs)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, d.ChunkSize)
	for _, n := range missing {
		if n < 0 || n >= len(d.Chunks) {
			return fmt.Errorf("%s: the fleet asks for chunk %d of %d", d.Path, n, len(d.Chunks))
		}
		b := buf[:d.chunkLen(n)]
		if _, err := f.ReadAt(b, int64(n)*int64(d.ChunkSize)); err != nil {
			return fmt.Errorf("%s: %w (did the file change meanwhile?)", abs, err)
		}
		if err := c.PutChunk(ctx, d.Digest, n, b); err != nil {
			return err
		}
		step(uint64(len(b)))
	}
	return nil
}

// chunkLen is the length of chunk n in bytes.
func (f File) chunkLen(n int) uint64 {
	at := uint64(n) * uint64(f.ChunkSize)
	return min(uint64(f.ChunkSize), f.Size-min(at, f.Size))
}
