package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// ggufText builds GGUF bytes field by field; ints are written with their own width.
func ggufText(fields ...any) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			binary.Write(&b, binary.LittleEndian, uint64(len(f)))
			b.WriteString(f)
		case []byte:
			b.Write(f)
		default:
			binary.Write(&b, binary.LittleEndian, f)
		}
	}
	return b.Bytes()
}

type (
	u32 = uint32
	u64 = uint64
)

// pad fills to a multiple of 32 and appends n bytes of data.
func pad(b []byte, n int) []byte {
	for len(b)%32 != 0 {
		b = append(b, 0)
	}
	return append(b, make([]byte, n)...)
}

func start(tensors, pairs u64) []byte { return ggufText(u32(ggufMagic), u32(3), tensors, pairs) }

func TestGGUFMeta(t *testing.T) {
	f, err := OpenGGUF("testdata/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]any{
		"general.architecture": "test",
		"test.u8":              uint8(200), "test.i8": int8(-100), "test.u16": uint16(60000), "test.i16": int16(-30000),
		"test.u32": uint32(4000000000), "test.i32": int32(-2000000000), "test.f32": float32(0.5),
		"test.u64": uint64(1 << 63), "test.i64": int64(-(1 << 62)), "test.f64": 0.1,
		"test.bool": true, "test.string": "naïve",
		"test.array.string": []string{"a", "", "ç"}, "test.array.i32": []int32{-1, 0, 7},
		"test.array.f32": []float32{0.25, -1}, "test.array.u8": []int32{1, 2, 255},
	}
	if got := f.Meta(); !reflect.DeepEqual(got, want) {
		t.Errorf("meta = %#v\nwant %#v", got, want)
	}
}

func TestGGUFArrays(t *testing.T) {
	array := func(kind u32, n u64, data ...any) []byte {
		return append(ggufText(u32(ggufArray), kind, n), ggufText(data...)...)
	}
	for _, c := range []struct {
		value []byte
		want  any
	}{
		{array(ggufUint8, 2, uint8(1), uint8(255)), []uint8{1, 255}},
		{array(ggufInt8, 1, int8(-1)), []int8{-1}},
		{array(ggufUint16, 1, uint16(65535)), []uint16{65535}},
		{array(ggufInt16, 1, int16(-2)), []int16{-2}},
		{array(ggufUint32, 1, u32(1<<31)), []uint32{1 << 31}},
		{array(ggufInt64, 1, int64(-3)), []int64{-3}},
		{array(ggufUint64, 1, u64(1<<63)), []uint64{1 << 63}},
		{array(ggufFloat64, 1, 0.1), []float64{0.1}},
		{array(ggufBool, 2, uint8(1), uint8(0)), []bool{true, false}},
		{array(ggufArray, 2, u32(ggufInt32), u64(1), int32(5), u32(ggufString), u64(1), "x"), []any{[]int32{5}, []string{"x"}}},
	} {
		text := append(append(start(0, 1), ggufText("k")...), c.value...)
		h, err := parseGGUF("t", bytes.NewReader(text), u64(len(text)))
		if err != nil {
			t.Errorf("%T: %v", c.want, err)
		} else if !reflect.DeepEqual(h.meta["k"], c.want) {
			t.Errorf("got %#v, want %#v", h.meta["k"], c.want)
		}
	}
}

func TestGGUFVersion2(t *testing.T) {
	text, err := os.ReadFile("testdata/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	text[4] = 2
	path := filepath.Join(t.TempDir(), "v2.gguf")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := len(f.Tensors()); n != 7 {
		t.Errorf("%d tensors, want 7", n)
	}
}

// TestGGUFRefuses gives one broken header per rule and checks kind, name and field.
func TestGGUFRefuses(t *testing.T) {
	info := func(name string, dims []u64, kind u32, offset u64) []byte {
		b := ggufText(name, u32(len(dims)))
		for _, d := range dims {
			b = append(b, ggufText(d)...)
		}
		return append(b, ggufText(kind, offset)...)
	}
	one := func(info []byte, data int) []byte { return pad(append(start(1, 0), info...), data) }
	two := func(a, b []byte) []byte { return pad(append(append(start(2, 0), a...), b...), 256) }
	key := func(fields ...any) []byte { return append(start(0, 1), ggufText(fields...)...) }
	deep := ggufText("k", u32(ggufArray))
	for range ggufMaxDepth + 1 {
		deep = append(deep, ggufText(u32(ggufArray), u64(1))...)
	}
	for _, c := range []struct {
		what        string
		text        []byte
		kind        error
		name, field string
	}{
		{"empty", nil, ErrTruncated, "", "magic"},
		{"magic", ggufText(u32(1)), ErrMagic, "", "magic"},
		{"version 1", ggufText(u32(ggufMagic), u32(1)), ErrVersion, "", "version"},
		{"big-endian", ggufText(u32(ggufMagic), u32(3<<24)), ErrVersion, "", "version"},
		{"zip", []byte("PK\x03\x04...."), ErrPickle, "", "magic"},
		{"pickle", []byte("\x80\x02}q\x01."), ErrPickle, "", "magic"},
		{"many tensors", pad(start(maxTensors+1, 0), (maxTensors+1)*ggufMinInfo), ErrCount, "", "tensor count"},
		{"many pairs", pad(start(0, maxPairs+1), (maxPairs+1)*ggufMinPair), ErrCount, "", "metadata count"},
		{"tensor count", start(1<<60, 0), ErrCount, "", "tensor count"},
		{"pair count", start(0, 1<<60), ErrCount, "", "metadata count"},
		{"counts cut", ggufText(u32(ggufMagic), u32(3), u32(0)), ErrTruncated, "", "tensor count"},
		{"key length", key(u64(1<<62), u64(0), u64(0)), ErrCount, "", "key length"},
		{"string length", key("k", u32(ggufString), u64(1<<40)), ErrCount, "k", "string length"},
		{"string cut", key("k", u32(ggufString), u64(9), u32(0)), ErrTruncated, "k", "string length"},
		{"value type", key("k", u32(13), u64(0)), ErrValue, "k", "value type"},
		{"bool", key("k", u32(ggufBool), uint8(2)), ErrValue, "k", "bool"},
		{"bool array", key("k", u32(ggufArray), u32(ggufBool), u64(2), uint8(1), uint8(7)), ErrValue, "k", "bool"},
		{"array type", key("k", u32(ggufArray), u32(99), u64(0)), ErrValue, "k", "array type"},
		{"array length", key("k", u32(ggufArray), u32(ggufInt32), u64(1<<61)), ErrCount, "k", "array length"},
		{"string array cut", key("k", u32(ggufArray), u32(ggufString), u64(2), "ab", u64(7)), ErrTruncated, "k", "string length"},
		{"array depth", append(start(0, 1), deep...), ErrValue, "k", "array depth"},
		{"key twice", append(start(0, 2), ggufText("k", u32(0), uint8(1), "k", u32(0), uint8(1))...), ErrDuplicate, "k", "metadata key"},
		{"alignment 0", key("general.alignment", u32(ggufUint32), u32(0)), ErrValue, "general.alignment", "alignment"},
		{"alignment 48", key("general.alignment", u32(ggufUint32), u32(48)), ErrValue, "general.alignment", "alignment"},
		{"alignment type", key("general.alignment", u32(ggufString), "32"), ErrValue, "general.alignment", "alignment"},
		{"name length", one(info(strings.Repeat("x", 65), []u64{1}, 0, 0), 32), ErrCount, "", "name length"},
		{"no dims", one(info("t", nil, 0, 0), 32), ErrShape, "t", "dimension count"},
		{"five dims", one(info("t", []u64{1, 1, 1, 1, 1}, 0, 0), 32), ErrShape, "t", "dimension count"},
		{"dims cut", append(start(1, 0), ggufText("tttttttttt", u32(3), u64(1), u32(1))...), ErrTruncated, "tttttttttt", "dims[1]"},
		{"zero dim", one(info("t", []u64{4, 0}, 0, 0), 32), ErrShape, "t", "dims[1]"},
		{"huge dim", one(info("t", []u64{1 << 41}, 0, 0), 32), ErrShape, "t", "dims[0]"},
		{"dims overflow", one(info("t", []u64{1 << 40, 1 << 40}, 0, 0), 32), ErrShape, "t", "dims[0]"},
		{"bytes overflow", one(info("t", []u64{1 << 40, 1 << 22}, 0, 0), 32), ErrShape, "t", "elements"},
		{"half a block", one(info("t", []u64{33}, 2, 0), 32), ErrShape, "t", "dims[0]"},
		{"unknown type", one(info("t", []u64{32}, 4, 0), 32), ErrType, "t", "tensor type"},
		{"misaligned", one(info("t", []u64{4}, 0, 16), 32), ErrMisaligned, "t", "data offset"},
		{"data cut", one(info("t", []u64{8}, 0, 0), 31), ErrTruncated, "t", "data offset"},
		{"offset outside", one(info("t", []u64{8}, 0, 1<<63), 32), ErrTruncated, "t", "data offset"},
		{"no data at all", append(start(1, 0), info("t", []u64{8}, 0, 0)...), ErrTruncated, "t", "data offset"},
		{"name twice", two(info("t", []u64{8}, 0, 0), info("t", []u64{8}, 0, 32)), ErrDuplicate, "t", "tensor name"},
		{"overlap", two(info("a", []u64{16}, 0, 0), info("b", []u64{8}, 0, 32)), ErrOverlap, "b", "data offset"},
		{"same place", two(info("a", []u64{8}, 0, 32), info("b", []u64{8}, 0, 32)), ErrOverlap, "b", "data offset"},
	} {
		_, err := parseGGUF("model.gguf", bytes.NewReader(c.text), u64(len(c.text)))
		checkFormat(t, c.what, err, c.kind, c.name, c.field)
	}
}

// checkFormat demands a FormatError of this kind that names this field.
func checkFormat(t *testing.T, what string, err, kind error, name, field string) {
	t.Helper()
	var format *FormatError
	if !errors.As(err, &format) || !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
		return
	}
	if format.Name != name || format.Field != field {
		t.Errorf("%s: %q %q, want %q %q", what, format.Name, format.Field, name, field)
	}
	if text := err.Error(); !strings.Contains(text, format.Path) || !strings.Contains(text, field) {
		t.Errorf("%s: message %q lacks path or field", what, text)
	}
}

// TestGGUFEveryTruncation cuts a good file at every byte: an error, never a panic.
func TestGGUFEveryTruncation(t *testing.T) {
	text, err := os.ReadFile("testdata/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	for n := range text {
		if n >= len(text)-16 { // padding after the last tensor
			break
		}
		if _, err := parseGGUF("t", bytes.NewReader(text[:n]), u64(n)); err == nil {
			t.Fatalf("%d of %d bytes were accepted", n, len(text))
		}
	}
}

// TestGGUFShorterThanPromised has a file that ends before its stated size.
func TestGGUFShorterThanPromised(t *testing.T) {
	text := start(0, 1)
	if _, err := parseGGUF("t", bytes.NewReader(text), 1<<20); err == nil {
		t.Fatal("a file shorter than its size was accepted")
	}
}

func FuzzGGUF(f *testing.F) {
	golden, err := os.ReadFile("testdata/types.gguf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	blocks, err := os.ReadFile("testdata/blocks.gguf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blocks)
	f.Add(partText(0, 2, 2, "a", "general.architecture", "llama"))
	f.Add(start(0, 0))
	f.Add(append(start(0, 1), ggufText("k", u32(ggufArray), u32(ggufString), u64(1), "v")...))
	f.Add(pad(append(start(1, 0), ggufText("t", u32(2), u64(32), u64(1), u32(8), u64(0))...), 34))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseGGUF("f", bytes.NewReader(text), u64(len(text)))
		checkParsed(t, h, err, text)
	})
}

// checkParsed demands that what a parser accepts lies within the file, agrees with
// its shape and does not overlap.
func checkParsed(t *testing.T, h header, err error, text []byte) {
	if err != nil {
		return
	}
	var end uint64
	for _, i := range sortedByOffset(h.infos) {
		info := h.infos[i]
		if info.Offset < end || info.Offset+info.Size > u64(len(text)) {
			t.Fatalf("%+v lies outside %d bytes or before %d", info, len(text), end)
		}
		end = info.Offset + info.Size
		if info.DType == 0 {
			continue
		}
		tensor := Tensor{Info: info, Data: text[info.Offset:end]}
		if _, err := tensor.Float32(); err != nil {
			t.Fatal(err)
		}
	}
}
