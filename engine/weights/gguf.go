package weights

import (
	"fmt"
	"io"
	"slices"
)

// Bounds of the GGUF format.
const (
	ggufMagic     = 0x46554747 // "GGUF", little-endian
	ggufMaxName   = 64         // bytes of a tensor name
	ggufMaxKey    = 65535      // bytes of a metadata key
	ggufMaxDims   = 4
	ggufAlignment = 32                // of tensor data, unless general.alignment says otherwise
	ggufMinPair   = 8 + 4 + 1         // bytes of the smallest key-value pair
	ggufMinInfo   = 8 + 4 + 8 + 4 + 8 // bytes of the smallest tensor description
)

// ggufDims name the dimensions in errors.
var ggufDims = [ggufMaxDims]string{"dims[0]", "dims[1]", "dims[2]", "dims[3]"}

// parseGGUF reads and checks a header:
//
//	magic u32 | version u32 | tensors u64 | pairs u64
//	pairs   x { key string | type u32 | value }
//	tensors x { name string | n u32 | dims u64[n] | type u32 | offset u64 }
//	padding to the alignment | data
func parseGGUF(path string, r io.Reader, size uint64) (header, error) {
	d := newDecoder(path, r, size)
	if magic := d.u32("", "magic"); d.err == nil && magic != ggufMagic {
		d.fail(magicKind(magic), "", "magic", uint64(magic), ggufMagic)
	}
	if v := d.u32("", "version"); d.err == nil && v != 2 && v != 3 {
		d.fail(ErrVersion, "", "version", uint64(v), 3)
	}
	tensors := d.count("", "tensor count", ggufMinInfo)
	pairs := d.count("", "metadata count", ggufMinPair)
	if tensors > maxTensors {
		d.fail(ErrCount, "", "tensor count", tensors, maxTensors)
	}
	if pairs > maxPairs {
		d.fail(ErrCount, "", "metadata count", pairs, maxPairs)
	}
	meta := d.pairs(pairs)
	alignment := d.alignment(meta)
	infos := d.infos(tensors)
	if d.err != nil {
		return header{}, d.err
	}
	start := (d.at + alignment - 1) / alignment * alignment
	if err := place(path, infos, start, alignment, size); err != nil {
		return header{}, err
	}
	return header{infos: infos, meta: meta}, nil
}

// magicKind tells the two beginnings of PyTorch's files from others.
func magicKind(magic uint32) error {
	const zip, pickle = 0x04034b50, 0x80
	if magic == zip || magic&0xff == pickle && magic>>8&0xff <= 5 {
		return ErrPickle
	}
	return ErrMagic
}

func (d *decoder) pairs(n uint64) map[string]any {
	if d.err != nil {
		return nil
	}
	meta := make(map[string]any, n)
	for range n {
		key := d.text("", "key length", ggufMaxKey)
		value := d.value(key, d.u32(key, "value type"))
		if d.err != nil {
			break
		}
		if _, twice := meta[key]; twice {
			d.fail(ErrDuplicate, key, "metadata key", 2, 1)
		}
		meta[key] = value
	}
	return meta
}

// alignment of tensor data: a power of two from 8 to 64 KiB.
func (d *decoder) alignment(meta map[string]any) uint64 {
	const key = "general.alignment"
	value, present := meta[key]
	if !present {
		return ggufAlignment
	}
	n, ok := value.(uint32)
	if !ok || n < 8 || n > 1<<16 || n&(n-1) != 0 {
		d.fail(ErrValue, key, "alignment", uint64(n), 1<<16)
		return ggufAlignment
	}
	return uint64(n)
}

func (d *decoder) infos(n uint64) []Info {
	if d.err != nil {
		return nil
	}
	infos := make([]Info, 0, n)
	for range n {
		info := d.info()
		if d.err != nil {
			return nil
		}
		infos = append(infos, info)
	}
	if err := checkNames(d.path, "tensor name", infos); err != nil {
		d.err = err
	}
	return infos
}

// info reads one description; Offset is still relative to the data's start.
func (d *decoder) info() Info {
	info := Info{Name: d.text("", "name length", ggufMaxName)}
	n := d.u32(info.Name, "dimension count")
	if d.err == nil && (n < 1 || n > ggufMaxDims) {
		d.fail(ErrShape, info.Name, "dimension count", uint64(n), ggufMaxDims)
	}
	if d.err != nil {
		return info
	}
	info.Shape = make([]uint64, n)
	for i := range info.Shape {
		dim := d.u64(info.Name, ggufDims[i])
		if d.err == nil && (dim == 0 || dim > 1<<40) {
			d.fail(ErrShape, info.Name, ggufDims[i], dim, 1<<40)
		}
		info.Shape[i] = dim
	}
	kind := d.u32(info.Name, "tensor type")
	info.Offset = d.u64(info.Name, "data offset")
	if d.err == nil {
		d.measure(&info, kind)
	}
	slices.Reverse(info.Shape) // the file lists the contiguous dimension first
	return info
}

// measure fills type and size of info, whose Shape is still in file order.
func (d *decoder) measure(info *Info, kind uint32) {
	t, known := ggmlTypes[kind]
	if !known {
		d.fail(ErrType, info.Name, "tensor type", uint64(kind), 41)
		return
	}
	elements, ok := product(info.Shape)
	if !ok {
		d.fail(ErrShape, info.Name, "dims[0]", info.Shape[0], 1<<63-1)
		return
	}
	if info.Shape[0]%t.block != 0 {
		d.fail(ErrShape, info.Name, "dims[0]", info.Shape[0], t.block)
		return
	}
	bytes, ok := product([]uint64{elements / t.block, t.bytes})
	if !ok {
		d.fail(ErrShape, info.Name, "elements", elements, 1<<63-1)
		return
	}
	info.Type, info.DType, info.Size = t.name, t.decode, bytes
}

// place turns relative offsets into offsets in the file and checks them against
// alignment, file size and each other.
func place(path string, infos []Info, start, alignment, size uint64) error {
	for i := range infos {
		info := &infos[i]
		bad := &FormatError{Path: path, Name: info.Name, Field: "data offset",
			Offset: start, Value: info.Offset, Bound: alignment}
		if info.Offset%alignment != 0 {
			bad.Kind = ErrMisaligned
			return bad
		}
		if start > size || info.Offset > size-start || info.Size > size-start-info.Offset {
			bad.Kind, bad.Bound, bad.Detail = ErrTruncated, size, fmt.Sprintf("%d bytes of data", info.Size)
			return bad
		}
		info.Offset += start
	}
	_, err := checkOverlap(path, infos)
	return err
}
