package weights

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Keys by which the parts of a split GGUF file know each other. Only the first part
// need have any other.
const (
	keySplitNo      = "split.no" // from 0
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count" // of all parts
)

var splitPattern = regexp.MustCompile(`^(.+)-(\d{5})-of-(\d{5})\.gguf$`)

// splitName takes BASE-00002-of-00003.gguf apart; count is 0 for any other name.
func splitName(name string) (base string, part, count uint64) {
	m := splitPattern.FindStringSubmatch(name)
	if m == nil {
		return name, 1, 0
	}
	part, _ = strconv.ParseUint(m[2], 10, 32)
	count, _ = strconv.ParseUint(m[3], 10, 32)
	return m[1], part, count
}

func partName(base string, part, count uint64) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", base, part, count)
}

// OpenGGUF opens a GGUF file, version 2 or 3, little-endian. Where path is the first
// part of a split one, BASE-00001-of-00003.gguf, the others must lie beside it.
func OpenGGUF(path string) (*File, error) {
	s, h, err := openShard(path, parseGGUF)
	if err != nil {
		return nil, err
	}
	g := &split{first: path, shards: []*shard{s}, headers: []header{h}}
	f, err := g.open()
	if err != nil {
		for _, s := range g.shards {
			s.close()
		}
		return nil, err
	}
	return f, nil
}

// split gathers the parts of one file.
type split struct {
	first   string // path
	shards  []*shard
	headers []header
	tensors uint64 // that the parts have together
}

func (g *split) open() (*File, error) {
	name := filepath.Base(g.first)
	base, part, named := splitName(name)
	count, err := g.number(0, keySplitCount, named)
	if err != nil {
		return nil, err
	}
	if count > maxShards {
		return nil, g.bad(0, keySplitCount, count, maxShards, "more parts than any model has")
	}
	if count > 1 && named != count {
		return nil, g.bad(0, keySplitCount, count, named, fmt.Sprintf("a part must keep its name, %s", partName("BASE", 1, count)))
	}
	if count > 1 && part != 1 {
		return nil, g.bad(0, keySplitNo, part-1, 0, "open the first part, "+partName(base, 1, count))
	}
	for n := uint64(1); n < count; n++ {
		if err := g.add(filepath.Join(filepath.Dir(g.first), partName(base, n+1, count))); err != nil {
			return nil, err
		}
	}
	for n := range g.headers {
		if err := g.check(n, count); err != nil {
			return nil, err
		}
	}
	return newFile("gguf", g.shards, g.headers)
}

func (g *split) add(path string) error {
	s, h, err := openShard(path, parseGGUF)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: part %d of %s: %w", path, len(g.shards)+1, filepath.Base(g.first), os.ErrNotExist)
	}
	if err != nil {
		return err
	}
	g.shards, g.headers = append(g.shards, s), append(g.headers, h)
	return nil
}

// check holds part n to its place, and the last one to the sum of tensors. A file that
// says nothing of parts is whole.
func (g *split) check(n int, count uint64) error {
	g.tensors += uint64(len(g.headers[n].infos))
	if _, stated := g.headers[n].meta[keySplitCount]; !stated && count <= 1 {
		return nil
	}
	for _, c := range []struct {
		key  string
		want uint64
	}{{keySplitNo, uint64(n)}, {keySplitCount, count}} {
		got, err := g.number(n, c.key, 0)
		if err != nil {
			return err
		}
		if got != c.want {
			return g.bad(n, c.key, got, c.want, "a copy of another part, or part of another model")
		}
	}
	total, err := g.number(n, keySplitTensors, g.tensors)
	if first, _ := g.number(0, keySplitTensors, total); err == nil && total != first {
		err = g.bad(n, keySplitTensors, total, first, "part of another model")
	}
	if err == nil && n == len(g.headers)-1 && total != g.tensors {
		err = g.bad(n, keySplitTensors, total, g.tensors, "the parts hold another number of tensors")
	}
	if err == nil && n > 0 {
		err = g.sameMeta(n)
	}
	return err
}

// sameMeta refuses a key of a later part that the first one does not have so.
func (g *split) sameMeta(n int) error {
	for key, value := range g.headers[n].meta {
		if strings.HasPrefix(key, "split.") || key == "general.alignment" {
			continue
		}
		if !reflect.DeepEqual(g.headers[0].meta[key], value) {
			return g.bad(n, key, 0, 0, "the first part has another value: part of another model")
		}
	}
	return nil
}

// number reads a key of part n; absent is fallback.
func (g *split) number(n int, key string, fallback uint64) (uint64, error) {
	switch v := g.headers[n].meta[key].(type) {
	case nil:
		return fallback, nil
	case uint16:
		return uint64(v), nil
	case uint32:
		return uint64(v), nil
	case uint64:
		return v, nil
	case int32:
		if v >= 0 {
			return uint64(v), nil
		}
	}
	return 0, g.bad(n, key, 0, 1<<16-1, fmt.Sprintf("%v is not a count", g.headers[n].meta[key]))
}

func (g *split) bad(n int, key string, value, bound uint64, detail string) error {
	return &FormatError{Kind: ErrParts, Path: filepath.Base(g.shards[n].file.Name()), Name: key, Field: "value",
		Value: value, Bound: bound, Detail: detail}
}
