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
	"strings"
)

// ChunkSize is what AddModel cuts files into: large enough that hashing and HTTP
// cost little, small enough that little is sent twice after a cut.
const ChunkSize = 8 << 20

// Progress is called as bytes are worked through; phase is "hash" or "send".
type Progress func(phase string, done, total uint64)

// AddModel hashes the model at path (a file or a directory), sends the chunks the
// fleet lacks and records the version. Repeating it after a cut goes on where it
// stopped; repeating it after success changes nothing.
func (c *Client) AddModel(ctx context.Context, name, path string, progress Progress) (Version, error) {
	files, total, err := modelFiles(path)
	if err != nil {
		return Version{}, err
	}
	up, err := describe(ctx, files, total, progress)
	if err != nil {
		return Version{}, err
	}
	st, err := c.BeginUpload(ctx, name, up)
	if err != nil {
		return Version{}, err
	}
	if err := c.sendMissing(ctx, files, up, st, progress); err != nil {
		return Version{}, err
	}
	return c.CommitVersion(ctx, name, up)
}

// source is one file to add: where it lies and what it is called in the model.
type source struct {
	abs, rel string
	size     uint64
}

// modelFiles lists what belongs to the model at path. In a directory these are the
// weights and the JSON, text and template files beside them; what lies further down
// (other formats, other precisions) is not the model's.
func modelFiles(path string) (files []source, total uint64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.IsDir() {
		f, err := sourceOf(filepath.Dir(path), filepath.Base(path))
		return []source{f}, f.size, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		if e.IsDir() || !belongs(e.Name()) {
			continue
		}
		f, err := sourceOf(path, e.Name())
		if err != nil {
			return nil, 0, err
		}
		files = append(files, f)
		total += f.size
	}
	return files, total, checkSources(path, files)
}

// sourceOf describes one file; the links of a Hugging Face cache are followed. What
// is no regular file may have no end.
func sourceOf(dir, name string) (source, error) {
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return source{}, err
	}
	if !info.Mode().IsRegular() {
		return source{}, fmt.Errorf("%s: not a regular file", path)
	}
	return source{path, name, uint64(info.Size())}, nil
}

// checkSources refuses a directory that cannot be one model, before it is hashed.
func checkSources(dir string, files []source) error {
	var paths []string
	for _, f := range files {
		paths = append(paths, f.rel)
	}
	if ggufs := GGUFs(paths); len(ggufs) > 1 && !AreParts(ggufs) {
		return fmt.Errorf("%s: holds %d .gguf files that are not the parts of one; name a file instead of the directory", dir, len(ggufs))
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no model files (want config.json, tokenizer.json and *.safetensors, or a .gguf file)", dir)
	}
	return nil
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

func belongs(name string) bool {
	switch filepath.Ext(name) {
	case ".safetensors", ".gguf", ".json", ".jinja", ".model", ".txt":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

func describe(ctx context.Context, files []source, total uint64, progress Progress) (Upload, error) {
	var up Upload
	var done uint64
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
		up.Files = append(up.Files, d)
	}
	return up, nil
}

// describeFile reads the file once, hashing the whole and its chunks.
func describeFile(ctx context.Context, s source, step func(n uint64)) (File, error) {
	f, err := os.Open(s.abs)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	d := File{Path: s.rel, ChunkSize: ChunkSize, Chunks: []string{}}
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
func (c *Client) sendMissing(ctx context.Context, files []source, up Upload, st UploadState, progress Progress) error {
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
		err := c.sendFile(ctx, files[i].abs, f, st.Missing[f.Digest], func(n uint64) {
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
