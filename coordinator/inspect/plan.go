package inspect

import (
	"fmt"
	"sort"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// maxConcurrency is the most that a deployment may ask for.
const maxConcurrency = 1024

// Plan computes what a replica of m takes, by the functions that placement uses and
// that every backend is held to.
func Plan(m *model.Meta, spec api.PlanSpec) (api.Plan, error) {
	p := &planner{meta: m, spec: spec}
	if p.spec.Context == 0 {
		p.spec.Context = m.Context
	}
	if p.spec.Concurrency == 0 {
		p.spec.Concurrency = 1
	}
	if p.spec.Concurrency > maxConcurrency {
		return api.Plan{}, fmt.Errorf("concurrency: %d, must be 1 to %d, the most that a deployment runs at once", p.spec.Concurrency, maxConcurrency)
	}
	if spec.Backend != "cuda" && spec.Backend != "cpu" {
		return api.Plan{}, fmt.Errorf("backend: %q, must be cuda or cpu", spec.Backend)
	}
	var err error
	if p.quant, p.kv, err = model.Precision(spec.Backend, spec.Quant, spec.KVDType); err != nil {
		return api.Plan{}, err
	}
	return p.plan()
}

type planner struct {
	meta  *model.Meta
	spec  api.PlanSpec
	quant abi.Quant
	kv    abi.DType
}

// least are the smallest limits, in the precision asked for.
func (p *planner) least() abi.Limits {
	return abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 1, MaxPositions: 1, Pages: 1, Quant: p.quant, KVDType: p.kv}
}

func (p *planner) plan() (api.Plan, error) {
	bytes, opts, err := p.need(p.spec.Context, p.spec.Concurrency)
	if err != nil {
		return api.Plan{}, err
	}
	page, err := p.page()
	if err != nil {
		return api.Plan{}, err
	}
	total := bytes.Total()
	out := api.Plan{
		Backend: p.spec.Backend, Memory: p.spec.Memory, Context: p.spec.Context, Concurrency: p.spec.Concurrency,
		Footprint:  api.Footprint{Weights: bytes.Weights, KV: bytes.KV, Activations: bytes.Activations, Workspace: bytes.Workspace, Total: total},
		Fits:       total <= p.spec.Memory,
		Spare:      p.spec.Memory - min(total, p.spec.Memory),
		Lacking:    total - min(total, p.spec.Memory),
		KVPerToken: page / abi.PageLen,
		Options: api.EngineOptions{Backend: p.spec.Backend, Context: opts.Context, MaxRunning: opts.MaxRunning,
			StepTokens: opts.StepTokens, KVBytes: opts.KVBytes},
	}
	out.Options.Quant, out.Options.KVDType = model.Names(p.least())
	out.Sequences = p.sequences()
	out.LargestContext = p.largestContext()
	if p.spec.Bandwidth > 0 {
		out.Bound, err = p.bound(out)
	}
	return out, err
}

// need is what n sequences of context tokens take, and the options that say so.
func (p *planner) need(context, n uint32) (abi.Bytes, model.Options, error) {
	page, err := p.page()
	if err != nil {
		return abi.Bytes{}, model.Options{}, err
	}
	pages := (uint64(context) + abi.PageLen - 1) / abi.PageLen
	opts, limits, err := model.Size(p.meta, p.spec.Backend, model.Options{
		Context: context, MaxRunning: n, StepTokens: p.spec.StepTokens, KVBytes: uint64(n) * pages * page,
		Quant: p.quant, KVDType: p.kv,
	}, p.spec.Memory)
	if err != nil {
		return abi.Bytes{}, opts, err
	}
	bytes, err := model.Footprint(p.meta, limits, p.spec.Backend)
	return bytes, opts, err
}

// page is the bytes of one page of the KV pool.
func (p *planner) page() (uint64, error) {
	bytes, err := model.Footprint(p.meta, p.least(), p.spec.Backend)
	return bytes.KV, err
}

// fits tells whether n sequences of context tokens do; more never do where fewer do not.
func (p *planner) fits(context, n uint32) bool {
	bytes, _, err := p.need(context, n)
	return err == nil && bytes.Total() <= p.spec.Memory
}

// sequences counts how many of the context asked for fit at once.
func (p *planner) sequences() uint32 {
	return uint32(sort.Search(maxConcurrency, func(n int) bool { return !p.fits(p.spec.Context, uint32(n)+1) }))
}

// largestContext finds the longest that fits at the concurrency asked for: in whole
// pages, or the model's own.
func (p *planner) largestContext() uint32 {
	if p.fits(p.meta.Context, p.spec.Concurrency) {
		return p.meta.Context
	}
	pages := sort.Search(int(p.meta.Context/abi.PageLen), func(n int) bool {
		return !p.fits(uint32(n+1)*abi.PageLen, p.spec.Concurrency)
	})
	return uint32(pages) * abi.PageLen
}

// bound divides the memory's speed by the bytes that a step must read: the weights and
// the KV of each sequence.
func (p *planner) bound(out api.Plan) (*api.SpeedBound, error) {
	read, _, err := model.ReadBytes(p.meta, p.least(), p.spec.Backend)
	if err != nil || read == 0 {
		return nil, err
	}
	speed, weights, n := float64(p.spec.Bandwidth), float64(read), float64(out.Concurrency)
	kv := n * float64(out.Context) * float64(out.KVPerToken)
	return &api.SpeedBound{One: speed / weights, All: n * speed / (weights + kv)}, nil
}
