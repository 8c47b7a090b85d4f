package weights

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	singleName  = "model.safetensors"
	indexSuffix = ".safetensors.index.json"
	indexName   = "model" + indexSuffix
	maxShards   = 4096
	maxIndex    = 64 << 20 // bytes; that of a model with 400 experts in 60 layers has 20 MB
)

// OpenSafetensors opens a .safetensors file, or a .safetensors.index.json with the
// shards it names beside it.
func OpenSafetensors(path string) (*File, error) {
	if strings.HasSuffix(path, indexSuffix) {
		return openIndex(path)
	}
	s, h, err := openShard(path, parseSafetensors)
	if err != nil {
		return nil, err
	}
	return newFile("safetensors", []*shard{s}, []header{h})
}

// openIndex opens every shard of an index. Index and shards must say the same: each
// tensor lies in the shard that the index names for it, and in no other.
func openIndex(path string) (*File, error) {
	x, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	var shards []*shard
	var headers []header
	f, err := func() (*File, error) {
		for n, name := range x.files {
			s, h, err := openShard(filepath.Join(filepath.Dir(path), name), parseSafetensors)
			if errors.Is(err, os.ErrNotExist) {
				tensor := x.entries[slices.IndexFunc(x.entries, func(e indexEntry) bool { return e.file == int32(n) })].tensor
				return nil, fmt.Errorf("%s: %q is due in %s by the index: %w", filepath.Base(path), tensor, name, os.ErrNotExist)
			}
			if err != nil {
				return nil, err
			}
			shards, headers = append(shards, s), append(headers, h)
		}
		for n, h := range headers {
			if err := x.check(int32(n), h.infos); err != nil {
				return nil, err
			}
		}
		return newFile("safetensors", shards, headers)
	}()
	if err != nil {
		for _, s := range shards {
			s.close()
		}
		return nil, err
	}
	return f, nil
}

// index is what *.safetensors.index.json says, its entries in the order of their names.
type index struct {
	path    string // base name
	files   []string
	entries []indexEntry
	due     []int // tensors of each file
}

type indexEntry struct {
	tensor string
	file   int32 // of index.files
}

// check holds the tensors of file n to the index.
func (x *index) check(n int32, infos []Info) error {
	bad := &FormatError{Kind: ErrParts, Path: x.files[n], Field: "tensor"}
	for i := range infos {
		e, ok := x.find(infos[i].Name)
		if ok && e.file == n {
			continue
		}
		bad.Name, bad.Offset, bad.Detail = infos[i].Name, infos[i].Offset, x.path+" does not name it"
		if ok {
			bad.Detail = fmt.Sprintf("%s finds it in %s", x.path, x.files[e.file])
		}
		return bad
	}
	if x.due[n] == len(infos) {
		return nil
	}
	order := sortedByName(infos)
	for _, e := range x.entries {
		_, here := slices.BinarySearchFunc(order, e.tensor, func(i int32, name string) int { return strings.Compare(infos[i].Name, name) })
		if e.file == n && !here {
			bad.Name, bad.Value, bad.Bound, bad.Detail = e.tensor, uint64(len(infos)), uint64(x.due[n]), x.path+" finds it there: no such tensor"
			return bad
		}
	}
	return nil
}

func (x *index) find(tensor string) (indexEntry, bool) {
	n, ok := slices.BinarySearchFunc(x.entries, tensor, func(e indexEntry, name string) int { return strings.Compare(e.tensor, name) })
	if !ok {
		return indexEntry{}, false
	}
	return x.entries[n], true
}

// readIndex reads { "metadata": any, "weight_map": { tensor: file } }. A file is named
// without any directory.
func readIndex(path string) (*index, error) {
	x := &index{path: filepath.Base(path)}
	text, err := ReadSmall(path, maxIndex)
	if err != nil {
		return nil, err
	}
	r := &jsonReader{text: text}
	seen := map[string]bool{}
	err = r.object(func(name []byte) error {
		key := string(name)
		if seen[key] {
			return x.bad(ErrDuplicate, key, "key", r.at, "")
		}
		seen[key] = true
		if len(seen) > maxPairs {
			return fmt.Errorf("more than %d keys", maxPairs)
		}
		if key == "weight_map" {
			return x.readMap(r)
		}
		return r.skip(1)
	})
	if err == nil {
		err = r.end()
	}
	var format *FormatError
	switch {
	case errors.As(err, &format):
		return nil, err
	case err != nil:
		return nil, x.bad(ErrSyntax, "", "weight_map", r.at, err.Error())
	case len(x.files) == 0:
		return nil, x.bad(ErrSyntax, "", "weight_map", r.at, "no shard is named")
	}
	return x, x.sort()
}

func (x *index) bad(kind error, name, field string, at int, detail string) error {
	return &FormatError{Kind: kind, Path: x.path, Name: name, Field: field, Offset: uint64(at), Detail: detail}
}

func (x *index) readMap(r *jsonReader) error {
	files := map[string]int32{}
	return r.object(func(name []byte) error {
		tensor := string(name)
		file, err := r.str()
		if err != nil {
			return err
		}
		n, known := files[file]
		if !known {
			if err := x.checkFile(tensor, file, r.at); err != nil {
				return err
			}
			n = int32(len(x.files))
			files[file], x.files, x.due = n, append(x.files, file), append(x.due, 0)
		}
		x.due[n]++
		x.entries = append(x.entries, indexEntry{tensor, n})
		return nil
	})
}

// checkFile refuses a shard that lies elsewhere or is of another format.
func (x *index) checkFile(tensor, file string, at int) error {
	switch {
	case IsPickled(file):
		return x.bad(ErrPickle, tensor, "weight_map", at, file)
	case filepath.Base(file) != file || !filepath.IsLocal(file) || strings.ContainsAny(file, "/\\\x00"):
		return x.bad(ErrSyntax, tensor, "weight_map", at, fmt.Sprintf("file name %q leaves the directory", file))
	case !strings.HasSuffix(file, ".safetensors"):
		return x.bad(ErrSyntax, tensor, "weight_map", at, fmt.Sprintf("file %q is no .safetensors file", file))
	case len(x.files) == maxShards:
		return &FormatError{Kind: ErrCount, Path: x.path, Name: tensor, Field: "weight_map files", Offset: uint64(at),
			Value: maxShards + 1, Bound: maxShards}
	}
	return nil
}

// sort puts the entries in order and refuses a tensor that is named twice.
func (x *index) sort() error {
	slices.SortFunc(x.entries, func(a, b indexEntry) int { return strings.Compare(a.tensor, b.tensor) })
	for n := 1; n < len(x.entries); n++ {
		if x.entries[n].tensor == x.entries[n-1].tensor {
			return x.bad(ErrDuplicate, x.entries[n].tensor, "weight_map", 0, "")
		}
	}
	return nil
}

// ReadSmall reads a whole regular file of at most limit bytes.
func ReadSmall(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if stat.Size() > limit {
		return nil, &FormatError{Kind: ErrCount, Path: filepath.Base(path), Field: "size", Value: uint64(stat.Size()), Bound: uint64(limit)}
	}
	text := make([]byte, stat.Size())
	_, err = io.ReadFull(f, text)
	return text, err
}
