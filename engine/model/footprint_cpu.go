package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() { footprints["cpu"] = cpuFootprint }

// Sizes that engine/cpu fixes: rows sampled at once, bytes of a sampling candidate, of
// 32 activations as int16 with their scale and sums.
const (
	cpuLanes     = 4
	cpuCandidate = 24
	cpuBlock     = 80
)

// cpuFootprint: matrices in panels of eight rows; vectors in float32; KV in float16
// unless the limits say float32. The workspace holds the widest activations as
// integers, the rotations of each token, and what sampling sorts.
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
			b.Weights += (uint64(w.Rows) + 7) / 8 * 8 * cpuRow(w)
		}
	}
	widest := uint64(0)
	for i := range m.Plan.Ops {
		widest = max(widest, (uint64(m.Plan.Ops[i].InFeatures)+31)/32*32)
	}
	b.Workspace = uint64(max(limits.MaxTokens, limits.MaxRows)) * (widest / 32 * cpuBlock)
	for _, t := range m.Plan.RopeTables {
		b.Workspace += 8 * uint64(len(t.InvFreq)) * uint64(limits.MaxTokens)
	}
	vocab := uint64(m.Plan.VocabSize)
	b.Workspace += cpuLanes * (8*vocab + 4*uint64(limits.MaxPositions) + 2*cpuCandidate*vocab)
	return b, nil
}

// cpuRow is what a row takes in a panel. Three types grow: Q4_K and Q5_K have their
// scales and minima in bytes instead of 6 bits each, Q3_K its scales.
func cpuRow(w Weight) uint64 {
	row, blocks := uint64(w.DType.RowBytes(int(w.Cols))), uint64(w.Cols)/256
	switch w.DType {
	case abi.E4M3: // kept in 16 bits
		return 2 * uint64(w.Cols)
	case abi.Q4_K, abi.Q5_K, abi.Q3_K:
		return row + 4*blocks
	}
	return row
}
