package abi

// OpKind is the kind of one operation of a Plan.
type OpKind uint32

// Operation kinds; see the header for what each computes.
const (
	OpEmbed     OpKind = 1
	OpNorm      OpKind = 2
	OpQKV       OpKind = 3
	OpRopeStore OpKind = 4
	OpAttention OpKind = 5
	OpOut       OpKind = 6
	OpGateUp    OpKind = 7
	OpDown      OpKind = 8
	OpMoE       OpKind = 9
	OpHead      OpKind = 10
	OpSample    OpKind = 11
	OpPool      OpKind = 12
	OpClassify  OpKind = 13
)

// Norm kinds.
const (
	NormRMS   = 1
	NormLayer = 2
)

// Activations of gate_up.
const (
	ActSiLU     = 1
	ActGELUTanh = 2
)

// Rotary embedding kinds: which two elements of a head rotate together.
const (
	RopeNone = 0
	RopeHalf = 1 // (i, i+RopeDims/2), as Hugging Face stores weights
	RopePair = 2 // (2i, 2i+1), as GGUF stores Llama weights
)

// Op is one operation. Buffer ids and tensor names at their zero value are absent;
// any other attribute at zero is unused. Field by field as nf_op.
type Op struct {
	Kind                             OpKind
	Layer                            uint32
	In, Out, Residual                uint32
	InFeatures                       uint32
	OutFeatures                      [3]uint32
	Weight, Bias, QNorm, KNorm       string
	NormKind                         uint32
	NormPlusOne                      bool
	NormEps                          float32
	Activation                       uint32
	Heads, KVHeads, HeadDim          uint32
	RopeKind, RopeDims               uint32
	RopeTable                        uint32
	AttnScale                        float32
	Window                           uint32
	Softcap                          float32
	Scale                            float32
	Bidirectional                    bool
	Experts, TopK                    uint32
	Renormalise                      bool
	SharedExperts                    uint32
	PositionEmbedding, TypeEmbedding uint32
	HeadKind                         uint32
}

// Buffer is one activation buffer: Width float32 per token row, or per sampling
// row when SampledRows.
type Buffer struct {
	ID          uint32 // from 1
	Width       uint32
	SampledRows bool
}

// RopeTable holds inverse frequencies in radians per position, RopeDims/2 of them.
type RopeTable struct {
	InvFreq         []float32
	AttentionFactor float32 // multiplies cos and sin; 0 = 1
}

// Plan is an architecture as data: operations in order over explicit buffers.
type Plan struct {
	Ops              []Op
	Buffers          []Buffer
	RopeTables       []RopeTable
	VocabSize        uint32
	KVLayers         uint32
	KVHeads, HeadDim uint32 // the largest of any layer: they size a page
}

// PoolWidth is the width of what RowPool reports: the head's input. 0 without a head.
func (p *Plan) PoolWidth() int {
	for i := range p.Ops {
		if p.Ops[i].Kind == OpHead {
			return int(p.Ops[i].InFeatures)
		}
	}
	return 0
}
