package inspect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/weights"
)

// Remote is a model whose files are read in parts.
type Remote interface {
	// Read gives n bytes of a file from offset on.
	Read(ctx context.Context, file int, offset, n uint64) ([]byte, error)
}

// RemoteFile is one file of a Remote.
type RemoteFile struct {
	Path string
	Size uint64
}

// firstRead is how much of each file of weights is read at first; a variable for tests.
var firstRead uint64 = 1 << 20

const (
	smallMax   = 1 << 20   // of a tensor that is read with its header
	maxHeader  = 128 << 20 // of weights; beyond it no header that we take ends
	wholeBelow = 64 << 20  // files that are no weights are read whole
)

// Sparse lays a model out in dir by its headers alone: its files have their sizes and
// are holes where weights should be. It gives the path to inspect or plan, as of a
// model that is here. What it holds must not be computed with.
func Sparse(ctx context.Context, r Remote, files []RemoteFile, dir string) (path string, err error) {
	var ggufs []*sparse
	for i, f := range files {
		s := &sparse{ctx: ctx, remote: r, file: i, size: f.Size, path: filepath.Join(dir, f.Path)}
		if !filepath.IsLocal(f.Path) || strings.Count(f.Path, "/") > 1 {
			return "", fmt.Errorf("%q: is no name of a file", f.Path)
		}
		if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
			return "", err
		}
		switch filepath.Ext(f.Path) {
		case ".gguf":
			ggufs = append(ggufs, s)
		case ".safetensors":
			err = s.safetensors()
		default:
			err = s.whole()
		}
		if err != nil {
			return "", err
		}
	}
	if len(ggufs) == 0 {
		return dir, nil
	}
	return ggufs[0].path, headers(ggufs)
}

// headers brings the headers of all parts of a GGUF file. It does not say where they
// end: more is brought until they parse and a tensor lies within what is here. Behind
// that are zeros, in which no header of a model ends.
func headers(parts []*sparse) error {
	for n := firstRead; ; n *= 4 {
		missing := false
		for _, s := range parts {
			if err := s.grow(n); err != nil {
				return err
			}
			missing = missing || s.have < s.size
		}
		f, err := weights.Open(parts[0].path)
		if err == nil {
			begins := slices.ContainsFunc(f.Tensors(), func(t weights.Info) bool { return t.Offset <= n })
			if begins || !missing {
				return errors.Join(small(parts, f), f.Close())
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
		if !missing || n > maxHeader {
			return nil // what is wrong with it, inspection says
		}
	}
}

// sparse is one file as it is laid out.
type sparse struct {
	ctx    context.Context
	remote Remote
	file   int
	size   uint64
	path   string
	have   uint64 // bytes from the start that are there
}

// grow brings the first n bytes.
func (s *sparse) grow(n uint64) error {
	n = min(n, s.size)
	if n <= s.have && s.have > 0 {
		return nil
	}
	if err := s.fill(s.have, n-s.have); err != nil {
		return err
	}
	s.have = n
	return nil
}

// fill brings n bytes to where they belong.
func (s *sparse) fill(offset, n uint64) error {
	b, err := s.remote.Read(s.ctx, s.file, offset, n)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(int64(s.size)); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteAt(b, int64(offset))
	return errors.Join(err, f.Close())
}

func (s *sparse) whole() error {
	if s.size > wholeBelow {
		return fmt.Errorf("%s: has %d bytes, at most %d", filepath.Base(s.path), s.size, wholeBelow)
	}
	return s.grow(s.size)
}

// safetensors says in its first eight bytes how long its header is.
func (s *sparse) safetensors() error {
	if err := s.grow(firstRead); err != nil || s.size < 8 {
		return err
	}
	b := make([]byte, 8)
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader {
		return fmt.Errorf("%s: a header of %d bytes, at most %d", filepath.Base(s.path), n, maxHeader)
	}
	return s.grow(8 + n)
}

// smallTensors say how a model is computed, and so are read with its header.
var smallTensors = []string{"rope_freqs.weight"}

// small brings the small tensors, from where they would be in each part: a listing does
// not say in which they are.
func small(parts []*sparse, f *weights.File) error {
	for _, name := range smallTensors {
		info, ok := f.Info(name)
		if !ok || info.Size > smallMax {
			continue
		}
		for _, s := range parts {
			if info.Offset+info.Size > s.size {
				continue
			}
			if err := s.fill(info.Offset, info.Size); err != nil {
				return err
			}
		}
	}
	return nil
}
