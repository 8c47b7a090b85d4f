package abi

import "fmt"

// DType is an element type; block formats are laid out as in GGUF files.
type DType uint32

// Element types.
const (
	F32   DType = 1
	F16   DType = 2
	BF16  DType = 3
	Q8_0  DType = 4 // 32 weights: f16 scale, 32 int8
	Q4_0  DType = 5 // 32 weights: f16 scale, 16 bytes of nibbles, value-8
	Q4_1  DType = 6 // 32 weights: f16 scale, f16 minimum, 16 bytes of nibbles
	Synth DType = 100
)

// String is the name used by GGUF and in numerics ids.
func (d DType) String() string {
	switch d {
	case F32:
		return "f32"
	case F16:
		return "f16"
	case BF16:
		return "bf16"
	case Q8_0:
		return "q8_0"
	case Q4_0:
		return "q4_0"
	case Q4_1:
		return "q4_1"
	case Synth:
		return "synth"
	}
	return fmt.Sprintf("dtype(%d)", uint32(d))
}

// Block is the number of weights stored together and the bytes they take;
// 0, 0 for a type without storage.
func (d DType) Block() (weights, bytes int) {
	switch d {
	case F32:
		return 1, 4
	case F16, BF16:
		return 1, 2
	case Q8_0:
		return 32, 34
	case Q4_0:
		return 32, 18
	case Q4_1:
		return 32, 20
	}
	return 0, 0
}

// RowBytes is the bytes of one row of cols weights; cols must be a whole number
// of blocks.
func (d DType) RowBytes(cols int) int {
	w, b := d.Block()
	if w == 0 {
		return 0
	}
	return cols / w * b
}

// Component of a tensor that is stored in several arrays.
type Component uint32

// Components.
const (
	ComponentData  Component = 0
	ComponentScale Component = 1
	ComponentZero  Component = 2
	ComponentGIdx  Component = 3
)

// Tensor is one part of one weight matrix, row-major. Data must stay readable
// until the backend's Finalise returns; it may be a view of a mapped file.
type Tensor struct {
	Name       string
	Part       uint32
	Component  Component
	Rows, Cols uint32
	DType      DType
	Data       []byte
	SynthSeed  uint64 // with DType Synth
}
