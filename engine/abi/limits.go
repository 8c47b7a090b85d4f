package abi

import "fmt"

// Limits size one engine instance. Bounds are checked by the backend's create.
type Limits struct {
	MaxSlots     uint32 // sequences open at once; slots are 0..MaxSlots-1
	MaxRows      uint32 // rows in one step
	MaxTokens    uint32 // tokens in one step
	MaxPositions uint32 // longest sequence
	Pages        uint32 // KV pages in the pool; ids are 0..Pages-1
	Threads      uint32 // compute threads; 0 = one per physical core
	Invariant    bool   // row invariance is demanded
	KVDType      DType  // 0 = the backend's default
	ISA          string // "" = the best there is
	MemoryMax    uint64 // bytes; 0 = no cap
	Quant        Quant  // of matrices, when they are put
}

// Quant is how a backend keeps the matrices of layers and of a head that is not tied to
// the embedding. Tensors that come in fewer bits than asked for keep theirs.
type Quant uint32

// Quantisations.
const (
	QuantNone Quant = 0 // as they come, or as the backend computes with them
	QuantFP8  Quant = 1 // E4M3, a scale for each row
	QuantInt4 Quant = 2 // 4 bits, a scale and a minimum for each 128 of a row
)

// String is the name that users give.
func (q Quant) String() string {
	switch q {
	case QuantNone:
		return "none"
	case QuantFP8:
		return "fp8"
	case QuantInt4:
		return "int4"
	}
	return fmt.Sprintf("quant(%d)", uint32(q))
}

// ProbeInfo describes the hardware a backend found.
type ProbeInfo struct {
	Devices                 int
	Name                    string // of the first device, as people say it
	ISA                     string // "plain", "avx2", "avx512", "sm_90"
	Build                   string // identifies the backend's build in a numerics id
	MemoryTotal, MemoryFree uint64 // bytes
}

// Bytes is an exact footprint by class, in bytes.
type Bytes struct {
	Weights, KV, Activations, Workspace uint64
}

// Total of all classes.
func (b Bytes) Total() uint64 { return b.Weights + b.KV + b.Activations + b.Workspace }

// Stats are a backend's counters since create.
type Stats struct {
	Steps, Tokens, Sampled uint64
	BusyNS, IdleNS         uint64
	MemoryPeak             uint64 // bytes
}
