package cpu_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// quantised are the types whose products are of integers.
var quantised = []abi.DType{abi.Q8_0, abi.Q4_0, abi.Q4_1, abi.Q5_0, abi.Q5_1, abi.Q2_K, abi.Q3_K, abi.Q4_K, abi.Q5_K, abi.Q6_K}

// scaleAt says where a block of each type keeps its binary16 scale, and minimum.
var scaleAt = map[abi.DType][]int{abi.Q8_0: {0}, abi.Q4_0: {0}, abi.Q4_1: {0, 2}, abi.Q5_0: {0}, abi.Q5_1: {0, 2},
	abi.Q2_K: {80, 82}, abi.Q3_K: {108}, abi.Q4_K: {0, 2}, abi.Q5_K: {0, 2}, abi.Q6_K: {208}}

// random has blocks of random bytes: every integer and every scale of a group. Their
// binary16 scales are of either sign, each of them scale(row).
func random(r *rand.Rand, name string, part, rows, cols uint32, dtype abi.DType, scale func(row int) uint16) *abi.Tensor {
	_, size := dtype.Block()
	width := dtype.RowBytes(int(cols))
	data := make([]byte, int(rows)*width)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for at := 0; at < len(data); at += size {
		for _, h := range scaleAt[dtype] {
			binary.LittleEndian.PutUint16(data[at+h:], scale(at/width)|uint16(r.UintN(2))<<15)
		}
	}
	return &abi.Tensor{Name: name, Part: part, Rows: rows, Cols: cols, DType: dtype, Data: data}
}

// floats is a tensor of float32.
func floats(name string, rows, cols int, values []float32) *abi.Tensor {
	t := &abi.Tensor{Name: name, Rows: uint32(rows), Cols: uint32(cols), DType: abi.F32}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

// meanSquare of each row of vectors.
const meanSquare = 1.25

// vectors are rows whose mean square is exact in any order of summing.
func vectors(r *rand.Rand, rows, cols int) []float32 {
	out := make([]float32, rows*cols)
	for row := range rows {
		v, left := out[row*cols:(row+1)*cols], int(meanSquare*4096)*cols
		for i := range v {
			n := min(int(math.Sqrt(float64(left))), 127)
			if i < cols-64 {
				n = r.IntN(n + 1)
			}
			left -= n * n
			v[i] = float32(n*(1-2*r.IntN(2))) / 64
		}
		if left != 0 {
			panic("a row misses its mean square")
		}
	}
	return out
}

// productModel gives the products of a head with the halves of an embedding's rows: the
// norm's epsilon makes its divisor 2 to the last bit.
func productModel(r *rand.Rand, features, cols int, dtype abi.DType) (*model.Meta, []*abi.Tensor) {
	k, n := uint32(cols), uint32(features)
	p := abi.Plan{VocabSize: n, KVLayers: 1, KVHeads: 1, HeadDim: 8,
		Buffers: []abi.Buffer{{ID: 1, Width: k}, {ID: 2, Width: k, SampledRows: true}, {ID: 3, Width: n, SampledRows: true}}}
	p.Ops = []abi.Op{
		{Kind: abi.OpEmbed, Out: 1, OutFeatures: [3]uint32{k}, Weight: "embed"},
		{Kind: abi.OpNorm, In: 1, Out: 2, InFeatures: k, OutFeatures: [3]uint32{k}, Weight: "norm", NormKind: abi.NormRMS, NormEps: 4 - meanSquare},
		{Kind: abi.OpHead, In: 2, Out: 3, InFeatures: k, OutFeatures: [3]uint32{n}, Weight: "head"},
		{Kind: abi.OpSample, In: 3},
	}
	// Zero, below the normal range, tiny, any, one and the largest: a class for each row.
	scale := func(row int) uint16 {
		return []uint16{0, uint16(r.UintN(0x400)), 0x400, uint16(r.UintN(0x7c00)), 0x3c00, 0x7bff}[row%6]
	}
	tensors := []*abi.Tensor{
		floats("embed", features, cols, vectors(r, features, cols)),
		floats("norm", 1, cols, slices.Repeat([]float32{1}, cols)),
		random(r, "head", 0, n, k, dtype, scale),
	}
	return metaOf(p, tensors), tensors
}

func metaOf(p abi.Plan, tensors []*abi.Tensor) *model.Meta {
	m := &model.Meta{Plan: p}
	for _, t := range tensors {
		m.Weights = append(m.Weights, model.Weight{Name: t.Name, Part: t.Part, Rows: t.Rows, Cols: t.Cols, DType: t.DType})
	}
	return m
}

// decoded are a tensor's weights as engine/weights decodes them.
func decoded(t *testing.T, tensor *abi.Tensor) []float32 {
	t.Helper()
	out := make([]float32, int(tensor.Rows)*int(tensor.Cols))
	if err := weights.Dequantise(tensor.DType, tensor.Data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// integers are what 32 activations are quantised to, and their scale.
func integers(x []float32) (n [32]float64, d float64) {
	most := float32(0)
	for _, v := range x {
		most = max(most, float32(math.Abs(float64(v))))
	}
	if most == 0 {
		return n, 0
	}
	inverse := 32767 / most
	for i, v := range x {
		n[i] = math.RoundToEven(float64(float32(v * inverse)))
	}
	return n, float64(most / 32767)
}

// product is that of activations, as they are quantised, with one row of weights, in
// float64. The size is what it would be if no terms cancelled and every weight were the
// largest of its 32.
func product(x, row []float32) (y, size float64) {
	for at := 0; at < len(x); at += 32 {
		n, d := integers(x[at : at+32])
		sum, largest := 0.0, 0.0
		for i := range n {
			w := float64(row[at+i])
			y += n[i] * d * w
			sum += math.Abs(n[i] * d)
			largest = max(largest, math.Abs(w))
		}
		size += sum * largest
	}
	return y, size
}

// products are a head's outputs for the embeddings of tokens, one row of a step each.
func (s *stepper) products(tokens ...int32) []float32 {
	step := &abi.Step{Tokens: tokens}
	for i := range tokens {
		opened := s.open(abi.Slot{Slot: uint32(i), Sampling: plain}, []uint32{uint32(i)})
		step.Pages = append(step.Pages, opened.Pages...)
		step.Rows = append(step.Rows, abi.Row{Slot: uint32(i), Tokens: 1, Flags: abi.RowSample | abi.RowLogits})
	}
	out := slices.Clone(s.step(step).Aux)
	for i := range tokens {
		if err := s.e.CloseSlot(uint32(i)); err != nil {
			s.t.Fatal(err)
		}
	}
	return out
}

// TestProducts holds the products of every type to float64 products with the weights
// that engine/weights decodes. The last panel is partly filled.
func TestProducts(t *testing.T) {
	const features, cols = 43, 512
	for _, isa := range isas(t) {
		for _, dtype := range quantised {
			r := rand.New(rand.NewPCG(uint64(dtype), 7))
			m, tensors := productModel(r, features, cols, dtype)
			l := limits
			l.ISA = isa
			s := &stepper{t: t, e: loadTensors(t, m, tensors, l)}
			x, head, worst := decoded(t, tensors[0]), decoded(t, tensors[2]), 0.0
			for i := range x {
				x[i] /= 2
			}
			for token := range features {
				got := s.products(int32(token))
				for f := range features {
					y, size := product(x[token*cols:(token+1)*cols], head[f*cols:(f+1)*cols])
					if size == 0 {
						size = 1
					}
					worst = max(worst, math.Abs(float64(got[f])-y)/size)
				}
			}
			t.Logf("%s %v: off by at most %.2g of their terms", isa, dtype, worst)
			if !(worst < 2e-7) {
				t.Errorf("%s %v: products are off by %g of their terms, at most 2e-7", isa, dtype, worst)
			}
		}
	}
}

// TestProductsAtEverySize demands the bits of a row alone from steps of 2 to 16 rows.
func TestProductsAtEverySize(t *testing.T) {
	const features, cols = 43, 512
	for _, isa := range isas(t) {
		for _, dtype := range append([]abi.DType{abi.F32, abi.F16, abi.BF16}, quantised...) {
			r := rand.New(rand.NewPCG(uint64(dtype), 9))
			m, tensors := productModel(r, features, cols, dtype)
			if scaleAt[dtype] == nil {
				tensors[2] = sane(r, tensors[2])
			}
			l := limits
			l.ISA = isa
			s := &stepper{t: t, e: loadTensors(t, m, tensors, l)}
			var tokens []int32
			var alone []float32
			for n := range l.MaxRows {
				tokens = append(tokens, int32(n))
				alone = append(alone, s.products(int32(n))...)
				if got := s.products(tokens...); !slices.Equal(got, alone) {
					t.Errorf("%s %v: %d rows have other bits together than alone", isa, dtype, n+1)
				}
			}
		}
	}
}

// sane makes random floats finite.
func sane(r *rand.Rand, t *abi.Tensor) *abi.Tensor {
	_, size := t.DType.Block()
	for at := size - 1; at < len(t.Data); at += size {
		t.Data[at] = byte(r.UintN(0x3c)) | byte(r.UintN(2))<<7
	}
	return t
}
