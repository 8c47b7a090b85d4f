package bench

import (
	"context"
	"slices"

	"github.com/nanofleet/nanofleet/engine/local"
	"github.com/nanofleet/nanofleet/engine/model"
)

// Report is what several runs gave, and what they ran on.
type Report struct {
	Workload  Kind    `json:"workload"`
	Requests  int     `json:"requests"`
	Input     int     `json:"input_tokens"`
	Output    int     `json:"output_tokens"`
	Backend   string  `json:"backend"`
	Device    string  `json:"device"`
	ISA       string  `json:"isa"`
	Numerics  string  `json:"numerics_id"`
	Footprint uint64  `json:"footprint_bytes"`
	LoadS     float64 `json:"load_seconds"`
	Runs      []Run   `json:"runs"`

	Rate   Spread `json:"output_tokens_per_second"`
	Decode Spread `json:"decode_tokens_per_second,omitzero"`
	First  Spread `json:"first_token_ms"` // until the last of them, in each run

	// Of the bound that reading sets: the weights once a step and every sequence's KV.
	Bandwidth float64 `json:"bandwidth,omitempty"` // bytes a second that were taken for the bound
	Weights   uint64  `json:"weight_bytes_per_step"`
	Position  uint64  `json:"kv_bytes_per_token"`
	Bound     float64 `json:"bound_tokens_per_second,omitempty"`
	Share     float64 `json:"share_of_bound,omitempty"` // of the median
}

// Spread of a figure over runs.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// spread of values, of which there is one at least.
func spread(values []float64) Spread {
	slices.Sort(values)
	n := len(values)
	return Spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Least: values[0], Most: values[n-1]}
}

// warmTokens of answer let a backend do what it does once.
const warmTokens = 8

// Measure warms an instance up and runs the workload some times. bandwidth is what the
// device reads in a second, in bytes; 0 where nobody knows. done, when not nil, is told
// each run.
func Measure(ctx context.Context, i *local.Instance, w Workload, runs int, bandwidth float64, done func(Run)) (*Report, error) {
	r := &Report{
		Workload: w.Kind, Requests: len(w.Lengths), Backend: i.Backend, Device: i.Device.Name, ISA: i.Device.ISA, Numerics: i.Numerics,
		Footprint: i.Footprint.Total(), LoadS: i.Loaded.Seconds(), Bandwidth: bandwidth,
	}
	var err error
	if r.Weights, r.Position, err = model.ReadBytes(i.Meta, i.Limits, i.Backend); err != nil {
		return nil, err
	}
	vocab, warm := int(i.Meta.Plan.VocabSize), w.short(warmTokens)
	if _, err := measure(ctx, i.Engine, &warm, vocab, 0); err != nil {
		return nil, err
	}
	for round := range max(runs, 1) {
		run, err := measure(ctx, i.Engine, &w, vocab, round+1)
		if err != nil {
			return nil, err
		}
		r.Runs = append(r.Runs, run)
		if done != nil {
			done(run)
		}
	}
	r.sum(&w)
	return r, nil
}

// sum draws the runs together.
func (r *Report) sum(w *Workload) {
	r.Input, r.Output = r.Runs[0].Input, r.Runs[0].Output
	var rates, decodes, firsts []float64
	for _, run := range r.Runs {
		rates, decodes, firsts = append(rates, run.Rate), append(decodes, run.Decode), append(firsts, run.FirstMax)
	}
	r.Rate, r.Decode, r.First = spread(rates), spread(decodes), spread(firsts)
	if r.Bandwidth == 0 || w.Kind == Prefill {
		return
	}
	seconds, tokens, median := w.bound(r.Weights, r.Position, r.Bandwidth), r.Output, r.Rate.Median
	if w.Kind == Decode {
		tokens, median = r.Output-r.Requests, r.Decode.Median // the first ones come of the prompts
	}
	r.Bound = float64(tokens) / seconds
	r.Share = median / r.Bound
}
