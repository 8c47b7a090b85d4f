package weights

import (
	"math/bits"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Info is one tensor as its file's header describes it.
type Info struct {
	Name   string
	Type   string    // the file's name of the element type: "Q4_1", "BF16"
	Shape  []uint64  // row-major, the contiguous dimension last, for both formats
	Offset uint64    // of the data in its file, bytes
	Size   uint64    // of the data, bytes
	DType  abi.DType // 0 when the type is listed only
	shard  int32
}

// Elements is the product of the shape.
func (i Info) Elements() uint64 {
	n, _ := product(i.Shape)
	return n
}

// Matrix gives the shape as rows and columns: a vector is one row, and leading
// dimensions beyond two are counted into the rows.
func (i Info) Matrix() (rows, cols uint64) {
	if len(i.Shape) == 0 {
		return 1, 1
	}
	last := len(i.Shape) - 1
	rows, _ = product(i.Shape[:last])
	return rows, i.Shape[last]
}

// product multiplies without wrapping; ok is false past 2^63-1.
func product(shape []uint64) (n uint64, ok bool) {
	n = 1
	for _, d := range shape {
		hi, lo := bits.Mul64(n, d)
		if hi != 0 || lo > 1<<63-1 {
			return 0, false
		}
		n = lo
	}
	return n, true
}

// Tensor is one tensor with a view of its bytes in the mapped file, valid until
// the File is closed. Nobody may write to Data.
type Tensor struct {
	Info
	Data []byte
}

// Float32 decodes the whole tensor.
func (t Tensor) Float32() ([]float32, error) {
	out := make([]float32, t.Elements())
	if err := Dequantise(t.DType, t.Data, out); err != nil {
		return nil, err
	}
	return out, nil
}
