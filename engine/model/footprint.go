package model

import (
	"fmt"
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// footprints compute the exact bytes of each backend, one file per backend; a
// backend's tests hold its Finalise to them.
var footprints = map[string]func(*Meta, abi.Limits) (abi.Bytes, error){}

// Footprint is what the backend ("ref", "cpu", ...) reports from Finalise for the
// model under limits, to the byte.
func Footprint(m *Meta, limits abi.Limits, backend string) (abi.Bytes, error) {
	compute := footprints[backend]
	if compute == nil {
		return abi.Bytes{}, fmt.Errorf("model: no footprint for backend %q (known: %s)", backend, supported(footprints))
	}
	return compute(m, limits)
}

// ReadBytes is what a step of decoding must read on a backend: of the weights once, all
// but an embedding's table that the head does not share, since a token needs one row of
// it; and of each position that a sequence sees. Limits say the precision.
func ReadBytes(m *Meta, precision abi.Limits, backend string) (weights, position uint64, err error) {
	read := *m
	if !read.Config.Tied {
		read.Weights = slices.DeleteFunc(slices.Clone(read.Weights), func(w Weight) bool { return w.Name == "embed" })
	}
	one := abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 1, MaxPositions: 1, Pages: 1, Quant: precision.Quant, KVDType: precision.KVDType}
	bytes, err := Footprint(&read, one, backend)
	return bytes.Weights, bytes.KV / abi.PageLen, err
}

// activationBytes is one float32 per element of every buffer, for the most rows
// a step may have.
func activationBytes(p *abi.Plan, limits abi.Limits) uint64 {
	var total uint64
	for _, b := range p.Buffers {
		rows := limits.MaxTokens
		if b.SampledRows {
			rows = limits.MaxRows
		}
		total += 4 * uint64(b.Width) * uint64(rows)
	}
	return total
}

// kvBytes is the page pool with elements of width bytes: K and V of every layer and
// the token ids of each page.
func kvBytes(p *abi.Plan, limits abi.Limits, width uint64) uint64 {
	perPosition := uint64(p.KVLayers) * 2 * uint64(p.KVHeads) * uint64(p.HeadDim) * width
	return uint64(limits.Pages) * abi.PageLen * (perPosition + 4)
}
