package weights

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// maxHeader bounds the header of one file, in bytes. Real ones take up to some
// 20 MB (a vocabulary of 256k tokens).
const maxHeader = 100 << 20

// File is one model's tensors. Its methods may be called from several goroutines.
type File struct {
	infos  []Info
	index  map[string]int // name -> infos
	meta   map[string]any
	shards []*shard
}

// Open opens path: a GGUF file, a safetensors file, or a directory holding
// model.safetensors or model.safetensors.index.json with its shards.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() || strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, indexSuffix) {
		return OpenSafetensors(path)
	}
	return OpenGGUF(path)
}

// header is what a parser finds in one file.
type header struct {
	infos []Info
	meta  map[string]any
}

// openShard opens path and has parse read its header.
func openShard(path string, parse func(path string, r io.Reader, size uint64) (header, error)) (*shard, header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, header{}, err
	}
	stat, err := f.Stat()
	if err == nil && !stat.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	var h header
	if err == nil {
		h, err = parse(filepath.Base(path), f, uint64(stat.Size()))
	}
	if err != nil {
		f.Close()
		return nil, header{}, err
	}
	return &shard{file: f, size: stat.Size()}, h, nil
}

// newFile joins the headers of opened shards; names are unique within a header.
func newFile(shards []*shard, headers []header) *File {
	f := &File{index: map[string]int{}, meta: map[string]any{}, shards: shards}
	for n, h := range headers {
		for _, info := range h.infos {
			info.shard = n
			f.index[info.Name] = len(f.infos)
			f.infos = append(f.infos, info)
		}
		for k, v := range h.meta {
			f.meta[k] = v
		}
	}
	return f
}

// Tensors lists every tensor, in file order.
func (f *File) Tensors() []Info { return f.infos }

// Info finds a tensor's description by name.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.infos[i], true
}

// Meta is the file's metadata. GGUF: every key, as uint8 ... uint64, int8 ...
// int64, float32, float64, bool, string, or a slice of one of these ([]string,
// []int32, ...; an array of arrays is []any). Safetensors: strings.
func (f *File) Meta() map[string]any { return f.meta }

// Tensor maps a tensor's bytes; ErrNoTensor or ErrType when that cannot be.
func (f *File) Tensor(name string) (Tensor, error) {
	info, ok := f.Info(name)
	if !ok {
		return Tensor{}, fmt.Errorf("%s: %q: %w", f.shards[0].file.Name(), name, ErrNoTensor)
	}
	s := f.shards[info.shard]
	if info.DType == 0 {
		return Tensor{}, fmt.Errorf("%s: %q: %s: %w", s.file.Name(), name, info.Type, ErrType)
	}
	data, err := s.bytes()
	if err != nil {
		return Tensor{}, fmt.Errorf("%s: %w", s.file.Name(), err)
	}
	return Tensor{Info: info, Data: data[info.Offset : info.Offset+info.Size : info.Offset+info.Size]}, nil
}

// Close unmaps and closes; views become invalid.
func (f *File) Close() error {
	var errs []error
	for _, s := range f.shards {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// shard is one open file, mapped when first needed.
type shard struct {
	file   *os.File
	size   int64
	mu     sync.Mutex
	data   []byte // nil until mapped
	closed bool
}

func (s *shard) bytes() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.data == nil {
		data, err := mapFile(s.file, s.size)
		if err != nil {
			return nil, err
		}
		s.data = data
	}
	return s.data, nil
}

func (s *shard) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.data != nil {
		err = unmapFile(s.data)
		s.data = nil
	}
	return errors.Join(err, s.file.Close())
}

// checkOverlap refuses tensors of one file that share bytes.
func checkOverlap(path string, infos []Info) error {
	order := sortedByOffset(infos)
	for i := 1; i < len(order); i++ {
		before, info := order[i-1], order[i]
		if end := before.Offset + before.Size; info.Offset < end {
			return &FormatError{Kind: ErrOverlap, Path: path, Name: info.Name, Field: "data offset",
				Offset: info.Offset, Value: info.Offset, Bound: end, Detail: fmt.Sprintf("%q ends there", before.Name)}
		}
	}
	return nil
}

// sortedByOffset puts empty tensors before the one that starts where they lie.
func sortedByOffset(infos []Info) []Info {
	return slices.SortedFunc(slices.Values(infos), func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
}
