package cpu_test

import (
	"math/rand/v2"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// recipe says the types of a decoder's matrices.
type recipe struct{ embed, q, k, v, out, gate, up, down abi.DType }

// recipes are a decoder of each type and one as Q4_K_M files mix them, and worse: parts of
// one product differ.
func recipes() map[string]recipe {
	all := map[string]recipe{"mixed": {abi.Q6_K, abi.Q4_K, abi.Q5_K, abi.Q6_K, abi.Q5_0, abi.Q3_K, abi.Q8_0, abi.F16}}
	for _, d := range quantised {
		all[d.String()] = recipe{d, d, d, d, d, d, d, d}
	}
	return all
}

// ordinary scales make weights of about 0.05 from random integers.
var ordinary = map[abi.DType]uint16{abi.Q8_0: 0x1400, abi.Q4_0: 0x2000, abi.Q4_1: 0x2000, abi.Q5_0: 0x1c00, abi.Q5_1: 0x1c00,
	abi.Q2_K: 0x1c00, abi.Q3_K: 0x1800, abi.Q4_K: 0x0c00, abi.Q5_K: 0x0800, abi.Q6_K: 0x0400}

// decoder is a layer of 256 wide, its head tied to its embedding.
func decoder(c recipe) (*model.Meta, []*abi.Tensor) {
	const width, ffn, vocab, heads, kvHeads, dim = 256, 512, 300, 4, 2, 64
	r := rand.New(rand.NewPCG(5, 6))
	p := abi.Plan{VocabSize: vocab, KVLayers: 1, KVHeads: kvHeads, HeadDim: dim, RopeTables: []abi.RopeTable{{InvFreq: make([]float32, dim/2)}}}
	for i := range p.RopeTables[0].InvFreq {
		p.RopeTables[0].InvFreq[i] = 1 / float32(i+1)
	}
	for i, w := range []uint32{width, width, (heads + 2*kvHeads) * dim, heads * dim, ffn, width, vocab} {
		p.Buffers = append(p.Buffers, abi.Buffer{ID: uint32(i + 1), Width: w, SampledRows: i >= 5})
	}
	norm := abi.Op{Kind: abi.OpNorm, In: 1, Out: 2, InFeatures: width, OutFeatures: [3]uint32{width}, NormKind: abi.NormRMS, NormEps: 1e-5}
	var tensors []*abi.Tensor
	normed := func(name string, out uint32) abi.Op {
		values := make([]float32, width)
		for i := range values {
			values[i] = 0.5 + r.Float32()
		}
		tensors = append(tensors, floats(name, 1, width, values))
		op := norm
		op.Weight, op.Out = name, out
		return op
	}
	matrix := func(name string, part, rows, cols uint32, d abi.DType) {
		t := random(r, name, part, rows, cols, d, func(int) uint16 { return ordinary[d] | uint16(r.UintN(0x400)) })
		if scaleAt[d] == nil {
			t = sane(r, t)
		}
		tensors = append(tensors, t)
	}
	p.Ops = []abi.Op{
		{Kind: abi.OpEmbed, Out: 1, OutFeatures: [3]uint32{width}, Weight: "embed"},
		normed("attn_norm", 2),
		{Kind: abi.OpQKV, In: 2, Out: 3, InFeatures: width, OutFeatures: [3]uint32{heads * dim, kvHeads * dim, kvHeads * dim}, Weight: "qkv"},
		{Kind: abi.OpRopeStore, In: 3, Out: 3, Heads: heads, KVHeads: kvHeads, HeadDim: dim, RopeKind: abi.RopePair, RopeDims: dim},
		{Kind: abi.OpAttention, In: 3, Out: 4, Heads: heads, KVHeads: kvHeads, HeadDim: dim, AttnScale: 0.125},
		{Kind: abi.OpOut, In: 4, Out: 1, Residual: 1, InFeatures: heads * dim, OutFeatures: [3]uint32{width}, Weight: "out"},
		normed("ffn_norm", 2),
		{Kind: abi.OpGateUp, In: 2, Out: 5, InFeatures: width, OutFeatures: [3]uint32{ffn, ffn}, Weight: "gate_up", Activation: abi.ActSiLU},
		{Kind: abi.OpDown, In: 5, Out: 1, Residual: 1, InFeatures: ffn, OutFeatures: [3]uint32{width}, Weight: "down"},
		normed("norm", 6),
		{Kind: abi.OpHead, In: 6, Out: 7, InFeatures: width, OutFeatures: [3]uint32{vocab}, Weight: "embed"},
		{Kind: abi.OpSample, In: 7},
	}
	matrix("embed", 0, vocab, width, c.embed)
	for i, d := range []abi.DType{c.q, c.k, c.v} {
		matrix("qkv", uint32(i), p.Ops[2].OutFeatures[i], width, d)
	}
	matrix("out", 0, width, heads*dim, c.out)
	matrix("gate_up", 0, ffn, width, c.gate)
	matrix("gate_up", 1, ffn, width, c.up)
	matrix("down", 0, width, ffn, c.down)
	return metaOf(p, tensors), tensors
}

// TestTypesAgainstReference compares a decoder of each type, at every position of a
// prompt, with the reference backend; both keep K and V in float32.
func TestTypesAgainstReference(t *testing.T) {
	for name, c := range recipes() {
		m, tensors := decoder(c)
		oracle, err := ref.New(limits)
		if err != nil {
			t.Fatal(err)
		}
		defer oracle.Close()
		if err := oracle.Plan(&m.Plan); err != nil {
			t.Fatal(err)
		}
		for _, tensor := range tensors {
			if err := oracle.PutTensor(tensor); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := oracle.Finalise(); err != nil {
			t.Fatal(err)
		}
		ids := prompt(20, m.Plan.VocabSize, 8)
		want, err := (&golden.Driver{Backend: oracle}).Logits(ids)
		if err != nil {
			t.Fatal(err)
		}
		for _, isa := range isas(t) {
			l := limits
			l.ISA, l.KVDType = isa, abi.F32
			got, err := (&golden.Driver{Backend: loadTensors(t, m, tensors, l)}).Logits(ids)
			if err != nil {
				t.Fatal(err)
			}
			least := 1.0
			for i := range got {
				least = min(least, golden.Cosine(got[i], want[i]))
			}
			t.Logf("%s %s: least cosine %.9f", name, isa, least)
			if !(least >= 0.9999999) {
				t.Errorf("%s %s: least cosine %v, must be at least 0.9999999", name, isa, least)
			}
		}
	}
}
