package hostile

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// gguf is a GGUF file taken apart, as the format's description has it and without a
// word from the parser under test.
type gguf struct {
	pairs   []pair
	tensors []tensor
	data    []byte
}

type pair struct {
	key   string
	kind  uint32
	value []byte // as it stands in the file
}

type tensor struct {
	name   string
	dims   []uint64
	kind   uint32
	offset uint64
}

// mark is where a field begins in the bytes of a file.
type mark struct {
	what  string // as errors call the field
	owner string // key or tensor
	at    int
}

const (
	u8, u32, i32, f32, boolean, text, array, u64 = 0, 4, 5, 6, 7, 8, 9, 10
)

var le = binary.LittleEndian

// readTiny takes the tiny model's file apart.
func readTiny(t *testing.T) *gguf {
	t.Helper()
	b, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	at := 8
	number := func() uint64 { at += 8; return le.Uint64(b[at-8:]) }
	word := func() uint32 { at += 4; return le.Uint32(b[at-4:]) }
	str := func() string { n := int(number()); at += n; return string(b[at-n : at]) }
	tensors, pairs := number(), number()
	g := &gguf{}
	for range pairs {
		p := pair{key: str(), kind: word()}
		from := at
		at += valueSize(b[at:], p.kind)
		p.value = b[from:at]
		g.pairs = append(g.pairs, p)
	}
	for range tensors {
		x := tensor{name: str()}
		for range word() {
			x.dims = append(x.dims, number())
		}
		x.kind, x.offset = word(), number()
		g.tensors = append(g.tensors, x)
	}
	g.data = b[(at+31)/32*32:]
	return g
}

// valueSize is how many bytes a value takes.
func valueSize(b []byte, kind uint32) int {
	switch kind {
	case text:
		return 8 + int(le.Uint64(b))
	case array:
		at := 12
		for range le.Uint64(b[4:]) {
			at += valueSize(b[at:], le.Uint32(b))
		}
		return at
	case u8, boolean:
		return 1
	}
	return 4
}

// bytes puts the file together and tells where its fields are.
func (g *gguf) bytes() (b []byte, marks []mark) {
	put := func(what, owner string, raw []byte) {
		marks = append(marks, mark{what, owner, len(b)})
		b = append(b, raw...)
	}
	str := func(what, owner, s string) {
		put(what+" length", owner, le.AppendUint64(nil, uint64(len(s))))
		b = append(b, s...)
	}
	put("magic", "", []byte("GGUF"))
	put("version", "", le.AppendUint32(nil, 3))
	put("tensor count", "", le.AppendUint64(nil, uint64(len(g.tensors))))
	put("metadata count", "", le.AppendUint64(nil, uint64(len(g.pairs))))
	for _, p := range g.pairs {
		str("key", "", p.key)
		put("value type", p.key, le.AppendUint32(nil, p.kind))
		switch p.kind {
		case text:
			put("string length", p.key, p.value[:8])
			b = append(b, p.value[8:]...)
		case array:
			put("array type", p.key, p.value[:4])
			put("array length", p.key, p.value[4:12])
			b = append(b, p.value[12:]...)
		default:
			put("value", p.key, p.value)
		}
	}
	for _, x := range g.tensors {
		str("name", "", x.name)
		put("dimension count", x.name, le.AppendUint32(nil, uint32(len(x.dims))))
		for i, d := range x.dims {
			put([]string{"dims[0]", "dims[1]", "dims[2]", "dims[3]", "dims[4]"}[i], x.name, le.AppendUint64(nil, d))
		}
		put("tensor type", x.name, le.AppendUint32(nil, x.kind))
		put("data offset", x.name, le.AppendUint64(nil, x.offset))
	}
	marks = append(marks, mark{"", "", len(b)})
	for len(b)%32 != 0 {
		b = append(b, 0)
	}
	return append(b, g.data...), marks
}

// with is the file after a change.
func (g *gguf) with(change func(*gguf)) []byte {
	c := &gguf{pairs: append([]pair(nil), g.pairs...), data: g.data}
	for _, x := range g.tensors {
		x.dims = append([]uint64(nil), x.dims...)
		c.tensors = append(c.tensors, x)
	}
	change(c)
	b, _ := c.bytes()
	return b
}

// set replaces a pair, or adds it.
func (g *gguf) set(key string, kind uint32, value []byte) {
	for i := range g.pairs {
		if g.pairs[i].key == key {
			g.pairs[i] = pair{key, kind, value}
			return
		}
	}
	g.pairs = append(g.pairs, pair{key, kind, value})
}

// drop removes a pair.
func (g *gguf) drop(key string) {
	for i := range g.pairs {
		if g.pairs[i].key == key {
			g.pairs = append(g.pairs[:i:i], g.pairs[i+1:]...)
			return
		}
	}
}

func (g *gguf) tensor(name string) *tensor {
	for i := range g.tensors {
		if g.tensors[i].name == name {
			return &g.tensors[i]
		}
	}
	panic(name)
}

// Values as they stand in a file.
func word(n uint32) []byte { return le.AppendUint32(nil, n) }
func long(n uint64) []byte { return le.AppendUint64(nil, n) }
func str(s string) []byte  { return append(long(uint64(len(s))), s...) }
func list(kind uint32, values ...[]byte) []byte {
	b := append(word(kind), long(uint64(len(values)))...)
	for _, v := range values {
		b = append(b, v...)
	}
	return b
}
