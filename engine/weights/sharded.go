package weights

import (
	"encoding/json"
	"fmt"
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
)

// OpenSafetensors opens a .safetensors file, a .safetensors.index.json with the
// shards it names beside it, or a directory holding model.safetensors or its index.
func OpenSafetensors(path string) (*File, error) {
	if stat, err := os.Stat(path); err != nil {
		return nil, err
	} else if stat.IsDir() {
		return openDirectory(path)
	}
	if strings.HasSuffix(path, indexSuffix) {
		return openIndex(path)
	}
	s, h, err := openShard(path, parseSafetensors)
	if err != nil {
		return nil, err
	}
	return newFile([]*shard{s}, []header{h}), nil
}

// openDirectory prefers the single file.
func openDirectory(dir string) (*File, error) {
	for _, name := range []string{singleName, indexName} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return OpenSafetensors(path)
		}
	}
	return nil, fmt.Errorf("%s: neither %s nor %s: %w", dir, singleName, indexName, os.ErrNotExist)
}

// openIndex opens every shard of an index. The index decides which tensors there
// are: each must lie in the shard it names.
func openIndex(path string) (*File, error) {
	index, names, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	var shards []*shard
	var headers []header
	for _, name := range names {
		s, h, err := openShard(filepath.Join(filepath.Dir(path), name), parseSafetensors)
		if err == nil {
			shards = append(shards, s)
			h.infos, err = mapped(h.infos, index, name)
		}
		if err != nil {
			for _, s := range shards {
				s.close()
			}
			return nil, err
		}
		headers = append(headers, h)
	}
	return newFile(shards, headers), nil
}

// mapped keeps the tensors that the index finds in shard name, and demands all of them.
func mapped(infos []Info, index map[string]string, name string) ([]Info, error) {
	kept := slices.DeleteFunc(infos, func(i Info) bool { return index[i.Name] != name })
	here := map[string]bool{}
	for _, info := range kept {
		here[info.Name] = true
	}
	for tensor, file := range index {
		if file == name && !here[tensor] {
			return nil, fmt.Errorf("%s: %q is due there by the index: %w", name, tensor, ErrNoTensor)
		}
	}
	return kept, nil
}

// readIndex reads { "weight_map": { tensor: file } } and lists the files in order.
// A file is named without any directory.
func readIndex(path string) (index map[string]string, names []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var doc struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	bad := &FormatError{Kind: ErrSyntax, Path: filepath.Base(path), Field: "weight_map length", Bound: maxShards}
	if err := json.Unmarshal(text, &doc); err != nil {
		bad.Detail = err.Error()
		return nil, nil, bad
	}
	for tensor, file := range doc.WeightMap {
		if filepath.Base(file) != file || !filepath.IsLocal(file) || strings.ContainsAny(file, `/\`) {
			bad.Name, bad.Detail = tensor, fmt.Sprintf("file name %q leaves the directory", file)
			return nil, nil, bad
		}
		if !slices.Contains(names, file) {
			names = append(names, file)
		}
		if len(names) > maxShards {
			bad.Kind, bad.Value = ErrCount, uint64(len(names))
			return nil, nil, bad
		}
	}
	if len(names) == 0 {
		bad.Detail = "no shard is named"
		return nil, nil, bad
	}
	slices.Sort(names)
	return doc.WeightMap, names, nil
}
