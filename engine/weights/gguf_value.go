package weights

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
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
	path string
	r    *bufio.Reader
	at   uint64 // next byte
	end  uint64 // bytes of the file, or of the largest header we accept
	err  error
}

func newDecoder(path string, r io.Reader, size uint64) *decoder {
	return &decoder{path: path, r: bufio.NewReaderSize(r, 1<<16), end: min(size, maxHeader)}
}

func (d *decoder) fail(kind error, name, field string, value, bound uint64) {
	if d.err == nil {
		d.err = &FormatError{Kind: kind, Path: d.path, Name: name, Field: field, Offset: d.at, Value: value, Bound: bound}
	}
}

// take reads the n bytes of field; eight more may be read past them.
func (d *decoder) take(field string, n uint64) []byte {
	if d.err == nil && n > d.end-d.at {
		d.fail(ErrTruncated, "", field, n, d.end-d.at)
	}
	if d.err != nil {
		return make([]byte, 8)
	}
	b := make([]byte, n+8)
	if _, err := io.ReadFull(d.r, b[:n]); err != nil {
		d.err = fmt.Errorf("%s: %s at byte %d: %w", d.path, field, d.at, err)
	}
	d.at += n
	return b
}

func (d *decoder) u32(field string) uint32 { return binary.LittleEndian.Uint32(d.take(field, 4)) }
func (d *decoder) u64(field string) uint64 { return binary.LittleEndian.Uint64(d.take(field, 8)) }

// count reads a number of items that take at least width bytes each.
func (d *decoder) count(field string, width uint64) uint64 {
	n := d.u64(field)
	if bound := (d.end - d.at) / width; n > bound {
		d.fail(ErrCount, "", field, n, bound)
		return 0
	}
	return n
}

// text reads a string of at most limit bytes.
func (d *decoder) text(name, field string, limit uint64) string {
	n := d.u64(field)
	if n > limit {
		d.fail(ErrCount, name, field, n, limit)
	}
	if b := d.take(field, n); d.err == nil {
		return string(b[:n])
	}
	return ""
}

// value reads one metadata value of kind.
func (d *decoder) value(key string, kind uint32, depth int) any {
	switch kind {
	case ggufString:
		return d.text(key, "string length", maxHeader)
	case ggufArray:
		return d.array(key, depth)
	}
	width, known := ggufWidths[kind]
	if !known {
		d.fail(ErrValue, key, "value type", uint64(kind), ggufFloat64)
		return nil
	}
	return d.scalar(key, kind, d.take("value of "+key, width))
}

func (d *decoder) scalar(key string, kind uint32, b []byte) any {
	bits := binary.LittleEndian.Uint64(b)
	switch kind {
	case ggufUint8:
		return uint8(bits)
	case ggufInt8:
		return int8(bits)
	case ggufUint16:
		return uint16(bits)
	case ggufInt16:
		return int16(bits)
	case ggufUint32:
		return uint32(bits)
	case ggufInt32:
		return int32(bits)
	case ggufFloat32:
		return math.Float32frombits(uint32(bits))
	case ggufInt64:
		return int64(bits)
	case ggufFloat64:
		return math.Float64frombits(bits)
	case ggufBool:
		if uint8(bits) > 1 {
			d.fail(ErrValue, key, "bool", bits&255, 1)
		}
		return uint8(bits) == 1
	}
	return bits
}

// array reads kind u32, count u64 and that many values.
func (d *decoder) array(key string, depth int) any {
	kind := d.u32("array type of " + key)
	width, known := ggufWidths[kind]
	if !known {
		d.fail(ErrValue, key, "array type", uint64(kind), ggufFloat64)
		return nil
	}
	if depth == ggufMaxDepth {
		d.fail(ErrValue, key, "array depth", uint64(depth)+1, ggufMaxDepth)
		return nil
	}
	n := d.count("array length of "+key, width)
	switch kind {
	case ggufString:
		return collect[string](d, n, func() any { return d.text(key, "string length", maxHeader) })
	case ggufArray:
		return collect[any](d, n, func() any { return d.array(key, depth+1) })
	}
	return d.scalars(key, kind, n, width)
}

// scalars gives a typed slice of fixed-width values.
func (d *decoder) scalars(key string, kind uint32, n, width uint64) any {
	raw := d.take("values of "+key, n*width)
	next := func() any {
		v := d.scalar(key, kind, raw)
		raw = raw[width:]
		return v
	}
	switch kind {
	case ggufUint8:
		return collect[uint8](d, n, next)
	case ggufInt8:
		return collect[int8](d, n, next)
	case ggufUint16:
		return collect[uint16](d, n, next)
	case ggufInt16:
		return collect[int16](d, n, next)
	case ggufUint32:
		return collect[uint32](d, n, next)
	case ggufInt32:
		return collect[int32](d, n, next)
	case ggufFloat32:
		return collect[float32](d, n, next)
	case ggufBool:
		return collect[bool](d, n, next)
	case ggufUint64:
		return collect[uint64](d, n, next)
	case ggufInt64:
		return collect[int64](d, n, next)
	}
	return collect[float64](d, n, next)
}

// collect reads n values; none when the decoder has failed or fails.
func collect[T any](d *decoder, n uint64, next func() any) []T {
	if d.err != nil {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		v := next()
		if d.err != nil {
			return nil
		}
		out[i], _ = v.(T)
	}
	return out
}
