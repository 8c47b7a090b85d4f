package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() { footprints["cpu"] = cpuFootprint }

// Sizes that engine/cpu fixes: rows sampled at once, bytes of a sampling candidate.
const (
	cpuLanes     = 4
	cpuCandidate = 24
)

// cpuFootprint: matrices as stored, in panels of eight rows; vectors in float32; KV
// in float16 unless the limits say float32. The workspace holds the widest
// activations as two int8 each, with a scale and a sum for each 32, the rotations of each
// token, and what sampling sorts.
func cpuFootprint(m *Meta, limits abi.Limits) (abi.Bytes, error) {
	kv := uint64(2)
	if limits.KVDType == abi.F32 {
		kv = 4
	}
	b := abi.Bytes{KV: kvBytes(&m.Plan, limits, kv), Activations: activationBytes(&m.Plan, limits)}
	for _, w := range m.Weights {
		if w.Rows == 1 {
			b.Weights += 4 * uint64(w.Cols)
		} else {
			b.Weights += (uint64(w.Rows) + 7) / 8 * 8 * uint64(w.DType.RowBytes(int(w.Cols)))
		}
	}
	widest := uint64(0)
	for i := range m.Plan.Ops {
		widest = max(widest, (uint64(m.Plan.Ops[i].InFeatures)+31)/32*32)
	}
	b.Workspace = uint64(max(limits.MaxTokens, limits.MaxRows)) * (2*widest + widest/32*8)
	for _, t := range m.Plan.RopeTables {
		b.Workspace += 8 * uint64(len(t.InvFreq)) * uint64(limits.MaxTokens)
	}
	vocab := uint64(m.Plan.VocabSize)
	b.Workspace += cpuLanes * (8*vocab + 4*uint64(limits.MaxPositions) + 2*cpuCandidate*vocab)
	return b, nil
}
