package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() { footprints["ref"] = refFootprint }

// refFootprint: weights, KV and activations all in float32, and one row of attention
// scores for each token of a step.
func refFootprint(m *Meta, limits abi.Limits) (abi.Bytes, error) {
	return abi.Bytes{
		Weights:     4 * m.Params,
		KV:          kvBytes(&m.Plan, limits, 4),
		Activations: activationBytes(&m.Plan, limits),
		Workspace:   4 * uint64(limits.MaxTokens) * uint64(limits.MaxPositions),
	}, nil
}
