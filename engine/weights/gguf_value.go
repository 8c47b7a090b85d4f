package weights

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// Metadata value types of GGUF.
const (
	ggufUint8   = 0
	ggufInt8    = 1
	ggufUint16  = 2
	ggufInt16   = 3
	ggufUint32  = 4
	ggufInt32   = 5
	ggufFloat32 = 6
	ggufBool    = 7
	ggufString  = 8
	ggufArray   = 9
	ggufUint64  = 10
	ggufInt64   = 11
	ggufFloat64 = 12
)

// ggufMaxDepth bounds arrays of arrays.
const ggufMaxDepth = 4

// ggufWidths are the bytes of each value type, for an array or string its least.
var ggufWidths = map[uint32]uint64{
	ggufUint8: 1, ggufInt8: 1, ggufUint16: 2, ggufInt16: 2, ggufUint32: 4, ggufInt32: 4,
	ggufFloat32: 4, ggufBool: 1, ggufString: 8, ggufArray: 12, ggufUint64: 8, ggufInt64: 8, ggufFloat64: 8,
}

// decoder reads a header field by field and remembers the first failure; after
// one, every read gives zero.
type decoder struct {
	path  string
	r     *bufio.Reader
	at    uint64 // next byte
	end   uint64 // bytes of the file, or of the largest header we accept
	field [8]byte
	err   error
}

// chunk is how much of a long value is read at once.
const chunk = 1 << 15

func newDecoder(path string, r io.Reader, size uint64) *decoder {
	return &decoder{path: path, r: bufio.NewReaderSize(r, 2*chunk), end: min(size, maxHeader)}
}

func (d *decoder) fail(kind error, name, field string, value, bound uint64) {
	if d.err == nil {
		d.err = &FormatError{Kind: kind, Path: d.path, Name: name, Field: field, Offset: d.at, Value: value, Bound: bound}
	}
}

// read fills b with the bytes of field; name is the key or tensor it belongs to.
func (d *decoder) read(name, field string, b []byte) {
	if !d.room(name, field, uint64(len(b))) {
		clear(b)
		return
	}
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.err = fmt.Errorf("%s: %s at byte %d: %w", d.path, field, d.at, err)
		clear(b)
	}
	d.at += uint64(len(b))
}

// room says whether n more bytes lie within the header.
func (d *decoder) room(name, field string, n uint64) bool {
	if d.err == nil && n > d.end-d.at {
		d.fail(ErrTruncated, name, field, n, d.end-d.at)
	}
	return d.err == nil
}

// take reads the n bytes of field; none after a failure.
func (d *decoder) take(field string, n uint64) []byte {
	if !d.room("", field, n) {
		return nil
	}
	b := make([]byte, n)
	d.read("", field, b)
	return b
}

func (d *decoder) u32(name, field string) uint32 {
	d.read(name, field, d.field[:4])
	return binary.LittleEndian.Uint32(d.field[:])
}

func (d *decoder) u64(name, field string) uint64 {
	d.read(name, field, d.field[:8])
	return binary.LittleEndian.Uint64(d.field[:])
}

// count reads a number of items that take at least width bytes each.
func (d *decoder) count(name, field string, width uint64) uint64 {
	n := d.u64(name, field)
	if bound := (d.end - d.at) / width; n > bound {
		d.fail(ErrCount, name, field, n, bound)
		return 0
	}
	return n
}

// text reads a string of at most limit bytes.
func (d *decoder) text(name, field string, limit uint64) string {
	n := d.u64(name, field)
	if n > limit {
		d.fail(ErrCount, name, field, n, limit)
	}
	if !d.room(name, field, n) {
		return ""
	}
	var b strings.Builder
	b.Grow(int(n))
	for b.Len() < int(n) && d.err == nil {
		piece, err := d.r.Peek(min(int(n)-b.Len(), chunk))
		if err != nil {
			d.err = fmt.Errorf("%s: %s at byte %d: %w", d.path, field, d.at, err)
			return ""
		}
		b.Write(piece)
		d.r.Discard(len(piece))
	}
	d.at += n
	return b.String()
}

// value reads one metadata value of kind.
func (d *decoder) value(key string, kind uint32) any {
	if number, ok := ggufNumbers[kind]; ok {
		return number.one(d, key)
	}
	switch kind {
	case ggufString:
		return d.text(key, "string length", maxHeader)
	case ggufArray:
		return d.array(key, 1)
	}
	d.fail(ErrValue, key, "value type", uint64(kind), ggufFloat64)
	return nil
}

// array reads kind u32, count u64 and that many values.
func (d *decoder) array(key string, depth int) any {
	kind := d.u32(key, "array type")
	width, known := ggufWidths[kind]
	if !known {
		d.fail(ErrValue, key, "array type", uint64(kind), ggufFloat64)
		return nil
	}
	if depth > ggufMaxDepth {
		d.fail(ErrValue, key, "array depth", uint64(depth), ggufMaxDepth)
		return nil
	}
	n := d.count(key, "array length", width)
	switch kind {
	case ggufString:
		return collect(d, n, func() string { return d.text(key, "string length", maxHeader) })
	case ggufArray:
		return collect(d, n, func() any { return d.array(key, depth+1) })
	}
	return ggufNumbers[kind].many(d, key, n)
}

// collect reads n values; none when the decoder has failed or fails.
func collect[T any](d *decoder, n uint64, next func() T) []T {
	if d.err != nil {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = next()
		if d.err != nil {
			return nil
		}
	}
	return out
}

// ggufNumber reads values of one fixed width.
type ggufNumber struct {
	one  func(d *decoder, key string) any
	many func(d *decoder, key string, n uint64) any
}

// ggufNumbers by value type.
var ggufNumbers = map[uint32]ggufNumber{
	ggufUint8:   numberOf(1, func(b []byte) uint8 { return b[0] }),
	ggufInt8:    numberOf(1, func(b []byte) int8 { return int8(b[0]) }),
	ggufUint16:  numberOf(2, binary.LittleEndian.Uint16),
	ggufInt16:   numberOf(2, func(b []byte) int16 { return int16(binary.LittleEndian.Uint16(b)) }),
	ggufUint32:  numberOf(4, binary.LittleEndian.Uint32),
	ggufInt32:   numberOf(4, func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) }),
	ggufFloat32: numberOf(4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }),
	ggufUint64:  numberOf(8, binary.LittleEndian.Uint64),
	ggufInt64:   numberOf(8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }),
	ggufFloat64: numberOf(8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }),
	ggufBool: {
		one: func(d *decoder, key string) any { return d.boolean(key) },
		many: func(d *decoder, key string, n uint64) any {
			return collect(d, n, func() bool { return d.boolean(key) })
		},
	},
}

// numberOf reads numbers of width bytes by get.
func numberOf[T any](width int, get func([]byte) T) ggufNumber {
	next := func(d *decoder, key string) T {
		d.read(key, "value", d.field[:width])
		return get(d.field[:])
	}
	return ggufNumber{
		one:  func(d *decoder, key string) any { return next(d, key) },
		many: func(d *decoder, key string, n uint64) any { return collect(d, n, func() T { return next(d, key) }) },
	}
}

// boolean reads a byte that must be 0 or 1.
func (d *decoder) boolean(key string) bool {
	d.read(key, "value", d.field[:1])
	if d.field[0] > 1 {
		d.fail(ErrValue, key, "bool", uint64(d.field[0]), 1)
	}
	return d.field[0] == 1
}
