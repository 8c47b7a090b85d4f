package abi

import "fmt"

// DType is an element type; block formats are laid out as in GGUF files.
type DType uint32

// Element types.
const (
	F32   DType = 1
	F16   DType = 2
	BF16  DType = 3
	Q8_0  DType = 4  // 32 weights: f16 scale, 32 int8
	Q4_0  DType = 5  // 32 weights: f16 scale, 16 bytes of nibbles, value-8
	Q4_1  DType = 6  // 32 weights: f16 scale, f16 minimum, 16 bytes of nibbles
	Q5_0  DType = 7  // 32 weights: f16 scale, 32 high bits, nibbles, value-16
	Q5_1  DType = 8  // 32 weights: f16 scale, f16 minimum, 32 high bits, nibbles
	Q2_K  DType = 9  // 256 weights: groups of 16, 4-bit scales and minima
	Q3_K  DType = 10 // 256 weights: groups of 16, 6-bit scales
	Q4_K  DType = 11 // 256 weights: groups of 32, 6-bit scales and minima
	Q5_K  DType = 12 // 256 weights: groups of 32, 6-bit scales and minima
	Q6_K  DType = 13 // 256 weights: groups of 16, 8-bit scales
	E4M3  DType = 14 // FP8; the tensor's scale component, f32 or bf16, multiplies
	Synth DType = 100
)

// layouts are the types with storage: the name used by GGUF and in numerics ids,
// the weights stored together and the bytes they take.
var layouts = map[DType]struct {
	name           string
	weights, bytes int
}{
	F32: {"f32", 1, 4}, F16: {"f16", 1, 2}, BF16: {"bf16", 1, 2},
	E4M3: {"e4m3", 1, 1},
	Q8_0: {"q8_0", 32, 34}, Q4_0: {"q4_0", 32, 18}, Q4_1: {"q4_1", 32, 20}, Q5_0: {"q5_0", 32, 22}, Q5_1: {"q5_1", 32, 24},
	Q2_K: {"q2_k", 256, 84}, Q3_K: {"q3_k", 256, 110}, Q4_K: {"q4_k", 256, 144}, Q5_K: {"q5_k", 256, 176}, Q6_K: {"q6_k", 256, 210},
}

// String is the name used by GGUF and in numerics ids.
func (d DType) String() string {
	if l, ok := layouts[d]; ok {
		return l.name
	}
	if d == Synth {
		return "synth"
	}
	return fmt.Sprintf("dtype(%d)", uint32(d))
}

// Block is the number of weights stored together and the bytes they take;
// 0, 0 for a type without storage.
func (d DType) Block() (weights, bytes int) {
	l := layouts[d]
	return l.weights, l.bytes
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
