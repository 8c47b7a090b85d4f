package model_test

import (
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// TestCudaKeepsWeights counts tensors by hand: rows of 200 are two groups of 128, 40 rows
// are padded to 48, and every allocation ends at a multiple of 256.
func TestCudaKeepsWeights(t *testing.T) {
	const (
		plain = 16128       // 40 x 200 x 2 bytes, aligned
		fp8   = 12288 + 256 // 48 x 2 x 128, and 48 x 2 bytes of scales
		block = 12288 + 256 // with scales for each group: 48 x 2 x 2
		int4  = 6144 + 512  // 48 x 2 x 64, and 48 x 2 x 4
	)
	weight := func(part uint32, rows uint32, d abi.DType) model.Weight {
		return model.Weight{Name: "w", Part: part, Rows: rows, Cols: 200, DType: d}
	}
	filed := weight(0, 40, abi.E4M3)
	filed.Scale = &model.Scale{Rows: 1, Cols: 2}
	whole := func(d abi.DType) []model.Weight { return []model.Weight{weight(0, 40, d)} }
	read := func(kinds ...abi.OpKind) (ops []abi.Op) {
		for _, k := range kinds {
			ops = append(ops, abi.Op{Kind: k, Weight: "w"})
		}
		return ops
	}
	for name, c := range map[string]struct {
		weights []model.Weight
		ops     []abi.Op
		want    map[abi.Quant]uint64
	}{
		"a layer's":             {whole(abi.BF16), read(abi.OpOut), map[abi.Quant]uint64{0: plain, abi.QuantFP8: fp8, abi.QuantInt4: int4}},
		"a head's":              {whole(abi.BF16), read(abi.OpHead), map[abi.Quant]uint64{0: plain, abi.QuantFP8: fp8, abi.QuantInt4: fp8}},
		"a tied head's":         {whole(abi.BF16), read(abi.OpEmbed, abi.OpHead), map[abi.Quant]uint64{0: plain, abi.QuantFP8: plain, abi.QuantInt4: plain}},
		"in 8 bits":             {whole(abi.Q8_0), read(abi.OpOut), map[abi.Quant]uint64{0: plain, abi.QuantFP8: fp8, abi.QuantInt4: int4}},
		"in 4 bits":             {whole(abi.Q4_K), read(abi.OpOut), map[abi.Quant]uint64{0: plain, abi.QuantFP8: plain, abi.QuantInt4: int4}},
		"in 3 bits":             {whole(abi.Q3_K), read(abi.OpOut), map[abi.Quant]uint64{0: plain, abi.QuantFP8: plain, abi.QuantInt4: plain}},
		"in FP8":                {[]model.Weight{filed}, read(abi.OpOut), map[abi.Quant]uint64{0: block, abi.QuantFP8: block, abi.QuantInt4: int4}},
		"in parts":              {[]model.Weight{weight(0, 20, abi.F16), weight(1, 20, abi.F32)}, read(abi.OpGateUp), map[abi.Quant]uint64{0: plain, abi.QuantFP8: fp8, abi.QuantInt4: int4}},
		"of two types":          {[]model.Weight{weight(0, 20, abi.E4M3), weight(1, 20, abi.BF16)}, read(abi.OpGateUp), map[abi.Quant]uint64{0: plain, abi.QuantFP8: fp8, abi.QuantInt4: int4}},
		"of two, one in 6 bits": {[]model.Weight{weight(0, 20, abi.Q6_K), weight(1, 20, abi.BF16)}, read(abi.OpGateUp), map[abi.Quant]uint64{0: plain, abi.QuantFP8: plain, abi.QuantInt4: int4}},
	} {
		m := &model.Meta{Weights: c.weights, Plan: abi.Plan{Ops: c.ops}}
		for quant, want := range c.want {
			got, err := model.Footprint(m, abi.Limits{Quant: quant}, "cuda")
			if err != nil || got.Weights != want {
				t.Errorf("%s, quant %v: %d bytes, want %d, %v", name, quant, got.Weights, want, err)
			}
		}
	}
}
