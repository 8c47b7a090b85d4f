package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() { footprints["cuda"] = cudaFootprint }

// cudaAlign is what allocations and their parts start at; logits are f32, all else
// that a step computes is bf16.
const cudaAlign = 256

func cudaAligned(n uint64) uint64 { return (n + cudaAlign - 1) / cudaAlign * cudaAlign }

// cudaFootprint: weights as they are kept, KV and activations in bf16, each tensor and
// buffer aligned. KV may be E4M3, with a scale of a byte for each position's K and V of a head.
func cudaFootprint(m *Meta, limits abi.Limits) (abi.Bytes, error) {
	return abi.Bytes{
		Weights:     cudaWeights(m, limits.Quant),
		KV:          cudaKV(&m.Plan, limits),
		Activations: cudaActivations(&m.Plan, limits),
		Workspace:   cudaWorkspace(&m.Plan, limits),
	}, nil
}

func cudaKV(p *abi.Plan, limits abi.Limits) uint64 {
	if limits.KVDType != abi.E4M3 {
		return kvBytes(p, limits, 2)
	}
	scales := uint64(p.KVLayers) * 2 * uint64(p.KVHeads)
	return kvBytes(p, limits, 1) + uint64(limits.Pages)*abi.PageLen*scales
}

func cudaActivations(p *abi.Plan, limits abi.Limits) (total uint64) {
	logits := map[uint32]bool{}
	for _, op := range p.Ops {
		if op.Kind == abi.OpHead {
			logits[op.Out] = true
		}
	}
	for _, b := range p.Buffers {
		rows, width := uint64(limits.MaxTokens), uint64(2)
		if b.SampledRows {
			rows = uint64(limits.MaxRows)
		}
		if logits[b.ID] {
			width = 4
		}
		total += cudaAligned(rows * uint64(b.Width) * width)
	}
	return total
}

// Bytes of what a step carries to the device and brings back (cuda/exec/staging.h).
const (
	cudaToken, cudaWalk, cudaTile, cudaPage, cudaCopy = 16, 16, 16, 16, 8
	cudaPrompt, cudaPooled, cudaJudged                = 12, 8, 172
	cudaChoice, cudaBias, cudaResult, cudaWord        = 92, 8, 240, 4
	cudaBiases                                        = 1024         // biases and end tokens of a slot
	cudaWalked                                        = 2 * 1536 * 8 // queries that walkers leave (kernels/attention/decode.h)
)

// cudaWorkspace is the step's inputs, twice what late masks need of them, the page
// tables, prompts' likelihoods and pooled vectors, what attention's walkers leave for one
// another, and what sampling works on: counts of tokens and raw logits of biased ones.
func cudaWorkspace(p *abi.Plan, limits abi.Limits) (total uint64) {
	slots, rows, tokens := uint64(limits.MaxSlots), uint64(limits.MaxRows), uint64(limits.MaxTokens)
	vocab, table := uint64(p.VocabSize), slots*uint64(pages(limits.MaxPositions))
	late := cudaAligned(cudaChoice*rows) + cudaAligned(cudaWord*rows*((vocab+31)/32))
	for _, n := range []uint64{
		cudaToken * tokens, cudaWalk * rows, cudaTile * tokens, cudaPage * (table + slots), cudaCopy * uint64(limits.Pages), cudaWord * rows,
		cudaPrompt * tokens, cudaPooled * tokens, cudaWord * 2 * tokens, cudaBias * rows * cudaBiases,
		late, late, cudaWord * table, cudaWord * slots, cudaWord * slots, cudaWord * tokens, cudaResult * rows,
		cudaJudged * tokens, cudaWord * rows * uint64(p.PoolWidth()), cudaWord * rows * vocab, cudaWord * rows * cudaBiases,
		cudaWord * cudaWalked * uint64(p.HeadDim), 2 * cudaWord * cudaWalked, cudaWord * rows * uint64(p.KVHeads),
	} {
		total += cudaAligned(n)
	}
	for _, t := range p.RopeTables {
		n := uint64(len(t.InvFreq))
		total += cudaAligned(cudaWord*n) + cudaAligned(2*cudaWord*tokens*n)
	}
	return total
}
