package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// safetensorsText puts the length before a header and n bytes of data behind it.
func safetensorsText(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

// entry8 describes 2 float32 at begin; headers below have lengths that keep data aligned.
func spaced(s string) string { return s + strings.Repeat(" ", (8-len(s)%8)%8) }

func TestSafetensorsRefuses(t *testing.T) {
	ok := `"dtype":"F32","shape":[2],"data_offsets":[0,8]`
	for _, c := range []struct {
		what, header string
		data         int
		kind         error
		name, field  string
	}{
		{"not JSON", `}`, 0, ErrSyntax, "", "header length"},
		{"empty", ``, 0, ErrSyntax, "", "header length"},
		{"not an object", `[]`, 0, ErrSyntax, "", "header length"},
		{"two values", `{}{}`, 0, ErrSyntax, "", "header length"},
		{"not UTF-8", "{\"\xff\":{}}", 0, ErrSyntax, "", "header length"},
		{"cut", `{"t":{"dtype":"F32"`, 0, ErrSyntax, "", "header length"},
		{"cut key", `{"t`, 0, ErrSyntax, "", "header length"},
		{"tensor is a list", `{"t":[]}`, 0, ErrSyntax, "", "header length"},
		{"no dtype", `{"t":{"shape":[2],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"unknown field", `{"t":{` + ok + `,"x":1}}`, 8, ErrSyntax, "", "header length"},
		{"null shape", `{"t":{"dtype":"F32","shape":null,"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"null dimension", `{"t":{"dtype":"F32","shape":[null],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"negative", `{"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"fraction", `{"t":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"too big", `{"t":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"cut list", `{"t":{"dtype":"F32","shape":[2`, 8, ErrSyntax, "", "header length"},
		{"nine dimensions", `{"t":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"one offset", `{"t":{"dtype":"F32","shape":[2],"data_offsets":[0]}}`, 8, ErrSyntax, "", "header length"},
		{"dtype null", `{"t":{"dtype":null,"shape":[2],"data_offsets":[0,8]}}`, 8, ErrSyntax, "", "header length"},
		{"metadata number", `{"__metadata__":{"a":1}}`, 0, ErrSyntax, "", "header length"},
		{"dtype", `{"t":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}}`, 8, ErrType, "t", "dtype"},
		{"key twice", `{"t":{` + ok + `},"t":{` + ok + `}}`, 8, ErrDuplicate, "t", "key"},
		{"field twice", `{"t":{"dtype":"F32",` + ok + `}}`, 8, ErrDuplicate, "dtype", "key"},
		{"past the end", `{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7, ErrTruncated, "t", "data_offsets end"},
		{"backwards", `{"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8, ErrTruncated, "t", "data_offsets end"},
		{"shape and size", `{"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, ErrShape, "t", "bytes"},
		{"shape overflow", `{"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8, ErrShape, "t", "bytes"},
		{"bytes overflow", `{"t":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0, ErrShape, "t", "bytes"},
		{"misaligned", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}`, 9, ErrMisaligned, "t", "data offset"},
		{"overlap", `{"a":{` + ok + `},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, ErrOverlap, "b", "data offset"},
		{"gap", `{"t":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}`, 16, ErrGap, "t", "data offset"},
		{"tail", `{"t":{` + ok + `}}`, 12, ErrGap, "", "file size"},
	} {
		text := safetensorsText(spaced(c.header), c.data)
		_, err := parseSafetensors("model.safetensors", bytes.NewReader(text), uint64(len(text)))
		checkFormat(t, c.what, err, c.kind, c.name, c.field)
	}
	for what, n := range map[string]uint64{"length cut": 40, "length huge": 1 << 63} {
		text := binary.LittleEndian.AppendUint64(nil, n)
		_, err := parseSafetensors("m", bytes.NewReader(text), 8)
		kind := ErrTruncated
		if n > maxHeader {
			kind = ErrCount
		}
		checkFormat(t, what, err, kind, "", "header length")
	}
}

// TestSafetensorsEmptyTensors accepts tensors without elements wherever they lie.
func TestSafetensorsEmptyTensors(t *testing.T) {
	text := safetensorsText(spaced(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},`+
		`"b":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"c":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},`+
		`"s":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}`), 12)
	h, err := parseSafetensors("m", bytes.NewReader(text), uint64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if rows, cols := h.infos[3].Matrix(); rows != 1 || cols != 1 {
		t.Errorf("a scalar is %d x %d, want 1 x 1", rows, cols)
	}
}

func TestSafetensorsMetaAndTypes(t *testing.T) {
	f, err := OpenSafetensors("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Meta()["format"] != "pt" {
		t.Errorf("meta = %v", f.Meta())
	}
	if _, err := f.Tensor("ids"); !errors.Is(err, ErrType) || !strings.Contains(err.Error(), "I64") {
		t.Errorf("reading I64 gave %v", err)
	}
}

// writeShards makes a directory with an index over two shards.
func writeShards(t *testing.T, index string) string {
	t.Helper()
	dir := t.TempDir()
	for name, header := range map[string]string{
		"s1.safetensors": `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`,
		"s2.safetensors": `{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), safetensorsText(spaced(header), 8), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, indexName), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestShards(t *testing.T) {
	dir := writeShards(t, `{"metadata":{"total_size":16,"x":[true,null,-1.5e3,"\\u00e9"]},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}`)
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors()) != 2 {
		t.Errorf("%v, want a and b", f.Tensors())
	}
	for name, n := range map[string]int{"a": 8, "b": 8} {
		if tensor, err := f.Tensor(name); err != nil || len(tensor.Data) != n {
			t.Errorf("%s: %d bytes, %v", name, len(tensor.Data), err)
		}
	}
}

func TestShardsRefuse(t *testing.T) {
	many := make([]string, maxShards+1)
	for i := range many {
		name := "x" + strings.Repeat("y", i%60) + string(rune('a'+i%26)) + strings.Repeat("z", i/60)
		many[i] = `"` + name + `":"` + name + `.safetensors"`
	}
	for what, c := range map[string]struct {
		index string
		want  error
	}{
		"missing tensor":  {`{"weight_map":{"a":"s1.safetensors","c":"s1.safetensors","b":"s2.safetensors"}}`, ErrParts},
		"wrong shard":     {`{"weight_map":{"b":"s1.safetensors","a":"s2.safetensors"}}`, ErrParts},
		"unnamed tensor":  {`{"weight_map":{"b":"s2.safetensors","c":"s2.safetensors"}}`, ErrParts},
		"missing shard":   {`{"weight_map":{"a":"s1.safetensors","b":"s3.safetensors"}}`, os.ErrNotExist},
		"parent":          {`{"weight_map":{"a":"../s1.safetensors"}}`, ErrSyntax},
		"dots":            {`{"weight_map":{"a":".."}}`, ErrSyntax},
		"backslash":       {`{"weight_map":{"a":"x\\s1.safetensors"}}`, ErrSyntax},
		"another format":  {`{"weight_map":{"a":"s1.gguf"}}`, ErrSyntax},
		"pickle":          {`{"weight_map":{"a":"pytorch_model.bin"}}`, ErrPickle},
		"tensor twice":    {`{"weight_map":{"a":"s1.safetensors","a":"s1.safetensors"}}`, ErrDuplicate},
		"map twice":       {`{"weight_map":{"a":"s1.safetensors"},"weight_map":{}}`, ErrDuplicate},
		"map in capitals": {`{"WEIGHT_MAP":{"a":"s1.safetensors"}}`, ErrSyntax},
		"number":          {`{"weight_map":{"a":1}}`, ErrSyntax},
		"list":            {`{"weight_map":["s1.safetensors"]}`, ErrSyntax},
		"nested":          {`{"metadata":` + strings.Repeat("[", maxNesting+1), ErrSyntax},
		"no map":          {`{}`, ErrSyntax},
		"not JSON":        {`{`, ErrSyntax},
		"many":            {`{"weight_map":{` + strings.Join(many, ",") + `}}`, ErrCount},
	} {
		if _, err := Open(writeShards(t, c.index)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	golden, err := os.ReadFile("testdata/types.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(safetensorsText(`{}`, 0))
	f.Add(safetensorsText(spaced(`{"__metadata__":{"a":"b"},"t":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}`), 12))
	f.Add(safetensorsText(spaced(`{"\u0061":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}, "b" : { "shape":[],"dtype":"U8","data_offsets":[0,1]}}`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseSafetensors("f", bytes.NewReader(text), uint64(len(text)))
		checkParsed(t, h, err, text)
	})
}
