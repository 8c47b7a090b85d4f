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

// Bounds of what a header may hold. Real ones take up to some 20 MB (a vocabulary of
// 256k tokens), some hundred metadata keys and some thousand tensors.
const (
	maxHeader  = 100 << 20 // bytes
	maxPairs   = 4096      // metadata keys
	maxTensors = 1 << 17
)

// File is one model's tensors. Its methods may be called from several goroutines.
type File struct {
	infos  []Info
	byName []int32 // infos in the order of their names
	meta   map[string]any
	format string
	path   string // that was opened
	shards []*shard
}

// Open opens path: a GGUF file (the first, where it is split into parts), a
// safetensors file, or a directory that holds one of the two (see [Find]).
func Open(path string) (*File, error) {
	path, err := Find(path)
	if err != nil {
		return nil, err
	}
	open := OpenGGUF
	if strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, indexSuffix) {
		open = OpenSafetensors
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	f.path = path
	return f, nil
}

// header is what a parser finds in one file.
type header struct {
	infos []Info
	meta  map[string]any
}

// openShard opens path and has parse read its header.
func openShard(path string, parse func(path string, r io.Reader, size uint64) (header, error)) (*shard, header, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, header{}, err
	}
	stat, err := f.Stat()
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

// openRegular refuses pipes, devices and directories before it opens them: to open a
// pipe is to wait for its writer.
func openRegular(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	if _, dangling := os.Lstat(path); errors.Is(err, os.ErrNotExist) && dangling == nil {
		return nil, fmt.Errorf("%s: %w: a link that leads nowhere", path, ErrNotRegular)
	}
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w (%s)", path, ErrNotRegular, stat.Mode().Type())
	}
	return os.Open(path)
}

// newFile joins the headers of opened shards; names are unique within a header, and
// where two headers have one, the parts are not of one model.
func newFile(format string, shards []*shard, headers []header) (*File, error) {
	f := &File{meta: headers[0].meta, format: format, shards: shards}
	if len(headers) == 1 {
		f.infos = headers[0].infos
	} else {
		for n, h := range headers {
			for _, info := range h.infos {
				info.shard = int32(n)
				f.infos = append(f.infos, info)
			}
		}
	}
	f.byName = sortedByName(f.infos)
	for n := 1; n < len(f.byName); n++ {
		a, b := &f.infos[f.byName[n-1]], &f.infos[f.byName[n]]
		if a.Name == b.Name {
			return nil, &FormatError{Kind: ErrDuplicate, Path: f.shardName(b), Name: b.Name, Field: "tensor name",
				Offset: b.Offset, Value: 2, Bound: 1, Detail: f.shardName(a) + " has it too"}
		}
	}
	return f, nil
}

func (f *File) shardName(i *Info) string { return filepath.Base(f.shards[i.shard].file.Name()) }

// Format is "gguf" or "safetensors".
func (f *File) Format() string { return f.format }

// Path is the file that was opened: the only one, the first part or the index.
func (f *File) Path() string { return cmp.Or(f.path, f.shards[0].file.Name()) }

// Paths lists the files that hold the tensors, in order.
func (f *File) Paths() []string {
	var paths []string
	for _, s := range f.shards {
		paths = append(paths, s.file.Name())
	}
	return paths
}

// Tensors lists every tensor, in file order.
func (f *File) Tensors() []Info { return f.infos }

// Info finds a tensor's description by name.
func (f *File) Info(name string) (Info, bool) {
	n, ok := slices.BinarySearchFunc(f.byName, name, func(i int32, name string) int {
		return strings.Compare(f.infos[i].Name, name)
	})
	if !ok {
		return Info{}, false
	}
	return f.infos[f.byName[n]], true
}

// Meta is the metadata of the file, or of the first of several. GGUF: every key, as uint8 ... uint64, int8 ...
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

// checkOverlap refuses tensors of one file that share bytes, and gives their order.
func checkOverlap(path string, infos []Info) (order []int32, err error) {
	order = sortedByOffset(infos)
	for n := 1; n < len(order); n++ {
		before, info := &infos[order[n-1]], &infos[order[n]]
		if end := before.Offset + before.Size; info.Offset < end {
			return nil, &FormatError{Kind: ErrOverlap, Path: path, Name: info.Name, Field: "data offset",
				Offset: info.Offset, Value: info.Offset, Bound: end, Detail: fmt.Sprintf("%q ends there", before.Name)}
		}
	}
	return order, nil
}

// checkNames refuses a name that two tensors of one file have; field is what it is
// called in the file.
func checkNames(path, field string, infos []Info) error {
	order := sortedByName(infos)
	for n := 1; n < len(order); n++ {
		if info := &infos[order[n]]; info.Name == infos[order[n-1]].Name {
			return &FormatError{Kind: ErrDuplicate, Path: path, Name: info.Name, Field: field,
				Offset: info.Offset, Value: 2, Bound: 1}
		}
	}
	return nil
}

// sorted gives the order of infos by less, without moving them.
func sorted(infos []Info, compare func(a, b *Info) int) []int32 {
	order := make([]int32, len(infos))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return compare(&infos[a], &infos[b]) })
	return order
}

// sortedByOffset puts empty tensors before the one that starts where they lie.
func sortedByOffset(infos []Info) []int32 {
	return sorted(infos, func(a, b *Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
}

func sortedByName(infos []Info) []int32 {
	return sorted(infos, func(a, b *Info) int { return strings.Compare(a.Name, b.Name) })
}
