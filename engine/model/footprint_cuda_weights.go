package model

import "github.com/nanofleet/nanofleet/engine/abi"

// cudaKind is how cuda/exec/keep.cpp keeps a tensor.
type cudaKind int

const (
	cudaBF16 cudaKind = iota
	cudaFP8
	cudaInt4
)

// cudaTensor is what decides about a tensor: who reads it, and what its parts come in.
type cudaTensor struct {
	product, embedding, head bool
	rows, cols, elements     uint64
	fewest                   int  // bits of the part that has fewest
	filed                    bool // all of it is E4M3
	blocks                   bool // some of it has scales for blocks of 128 x 128
}

// cudaBits are the bits of a weight by type, its share of scales left aside.
var cudaBits = map[abi.DType]int{
	abi.F32: 32, abi.F16: 16, abi.BF16: 16, abi.Q8_0: 8, abi.E4M3: 8, abi.Q6_K: 6, abi.Q5_0: 5, abi.Q5_1: 5, abi.Q5_K: 5,
	abi.Q4_0: 4, abi.Q4_1: 4, abi.Q4_K: 4, abi.Q3_K: 3, abi.Q2_K: 2,
}

// cudaTensors joins the parts of each tensor.
func cudaTensors(m *Meta) map[string]*cudaTensor {
	all := map[string]*cudaTensor{}
	for _, w := range m.Weights {
		t := all[w.Name]
		if t == nil {
			t = &cudaTensor{cols: uint64(w.Cols), fewest: 32, filed: true}
			all[w.Name] = t
		}
		t.rows += uint64(w.Rows)
		t.elements += uint64(w.Rows) * uint64(w.Cols)
		t.fewest = min(t.fewest, cudaBits[w.DType])
		t.filed = t.filed && w.DType == abi.E4M3
		t.blocks = t.blocks || w.Scale != nil && w.Scale.Cols > 1
	}
	for i := range m.Plan.Ops {
		op := &m.Plan.Ops[i]
		if t := all[op.Weight]; t != nil {
			t.embedding = t.embedding || op.Kind == abi.OpEmbed
			t.head = t.head || op.Kind == abi.OpHead
			t.product = t.product || op.Kind != abi.OpEmbed && op.Kind != abi.OpNorm
		}
	}
	return all
}

func (t *cudaTensor) kind(asked abi.Quant) cudaKind {
	kind := cudaBF16
	switch {
	case !t.product || t.embedding:
		return cudaBF16
	case asked == abi.QuantFP8 || asked == abi.QuantInt4 && t.head:
		kind = cudaFP8
	case asked == abi.QuantInt4:
		kind = cudaInt4
	}
	if kind == cudaFP8 && t.fewest < 8 || kind == cudaInt4 && t.fewest < 4 {
		kind = cudaBF16
	}
	if kind == cudaBF16 && t.filed {
		kind = cudaFP8
	}
	return kind
}

// bytes of a tensor: bf16, or rows padded to 16 and cut into groups of 128, and scales of
// each row or of each of its groups.
func (t *cudaTensor) bytes(asked abi.Quant) uint64 {
	rows, groups := (t.rows+15)/16*16, (t.cols+127)/128
	switch t.kind(asked) {
	case cudaFP8:
		scales := uint64(1)
		if t.blocks {
			scales = groups
		}
		return cudaAligned(rows*groups*128) + cudaAligned(rows*scales*2)
	case cudaInt4:
		return cudaAligned(rows*groups*64) + cudaAligned(rows*groups*4)
	}
	return cudaAligned(2 * t.elements)
}

func cudaWeights(m *Meta, asked abi.Quant) (total uint64) {
	for _, t := range cudaTensors(m) {
		total += t.bytes(asked)
	}
	return total
}
