package golden

import (
	"fmt"
	"math"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// Scored feeds prompt in steps of at most chunk tokens and gives how likely each token
// but the first was, with top alternatives.
func (d *Driver) Scored(prompt []int32, chunk, top int) (scored []abi.PromptLogprob, err error) {
	err = d.open(len(prompt), top, func() error {
		for at := 0; at < len(prompt); at += chunk {
			end := min(at+chunk, len(prompt))
			row := abi.Row{Tokens: uint32(end - at), Flags: abi.RowPromptLogprobs, Next: -1}
			if end < len(prompt) {
				row.Next = prompt[end]
			}
			if err := d.step(at, row, prompt[at:end]); err != nil {
				return err
			}
			scored = append(scored, d.result.Prompt...)
		}
		return nil
	})
	return scored, err
}

// Pooled feeds prompt in steps of at most chunk tokens and gives the last token's
// vector, or the mean of all.
func (d *Driver) Pooled(prompt []int32, chunk int, mean bool) (vector []float32, err error) {
	var sums []float64
	err = d.open(len(prompt), 0, func() error {
		for at := 0; at < len(prompt); at += chunk {
			end := min(at+chunk, len(prompt))
			row := abi.Row{Tokens: uint32(end - at), Flags: abi.RowPool}
			if mean {
				row.Flags |= abi.RowPoolSum
			}
			if err := d.step(at, row, prompt[at:end]); err != nil {
				return err
			}
			vector = append(vector[:0], d.result.Aux...)
			if sums == nil {
				sums = make([]float64, len(vector))
			}
			for i, v := range vector {
				sums[i] += float64(v)
			}
		}
		return nil
	})
	for i := range vector {
		if mean {
			vector[i] = float32(sums[i] / float64(len(prompt)))
		}
	}
	return vector, err
}

// LogProb is the logarithm of a token's probability by its logits.
func LogProb(logits []float32, token int32) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		top = max(top, float64(l))
	}
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return float64(logits[token]) - top - math.Log(sum)
}

// Head is a model's last matrix, row by row: it turns a pooled vector into logits,
// which is how vectors are compared with another implementation's logits.
func Head(m *model.Model) ([][]float32, error) {
	name := ""
	for i := range m.Plan.Ops {
		if m.Plan.Ops[i].Kind == abi.OpHead {
			name = m.Plan.Ops[i].Weight
		}
	}
	for t, err := range m.Tensors() {
		if err != nil {
			return nil, err
		}
		if t.Name != name {
			continue
		}
		flat := make([]float32, int(t.Rows)*int(t.Cols))
		if err := weights.Dequantise(t.DType, t.Data, flat); err != nil {
			return nil, err
		}
		rows := make([][]float32, t.Rows)
		for i := range rows {
			rows[i] = flat[i*int(t.Cols) : (i+1)*int(t.Cols)]
		}
		return rows, nil
	}
	return nil, fmt.Errorf("golden: no tensor %q", name)
}

// Times is the product of rows and a vector.
func Times(rows [][]float32, v []float32) []float32 {
	out := make([]float32, len(rows))
	for i, row := range rows {
		sum := 0.0
		for c, w := range row {
			sum += float64(w) * float64(v[c])
		}
		out[i] = float32(sum)
	}
	return out
}

// Mean of logits of several positions.
func Mean(logits [][]float32) []float32 {
	out := make([]float32, len(logits[0]))
	for i := range out {
		sum := 0.0
		for _, l := range logits {
			sum += float64(l[i])
		}
		out[i] = float32(sum / float64(len(logits)))
	}
	return out
}
