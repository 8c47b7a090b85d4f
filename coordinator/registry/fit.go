package registry

import (
	"cmp"
	"fmt"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/engine/model"
)

// Versions gives what was recorded of a version.
type Versions interface {
	Version(id string) (state.Version, bool)
}

// Fit gives what one replica of d is on a device: its options resolved to numbers
// and its exact footprint. An error says why it cannot run there.
func (r *Registry) Fit(versions Versions, d state.Deployment, dev state.Device) (state.EngineOptions, state.Footprint, error) {
	v, ok := versions.Version(d.Version)
	if !ok {
		return state.EngineOptions{}, state.Footprint{}, fmt.Errorf("version %s of model %q is not recorded", d.Version, d.Model)
	}
	meta, err := r.Meta(v)
	if err != nil {
		return state.EngineOptions{}, state.Footprint{}, err
	}
	return fit(meta, d.Options, dev)
}

// fit resolves options of a model for a device.
func fit(meta *model.Meta, opts state.EngineOptions, dev state.Device) (state.EngineOptions, state.Footprint, error) {
	if opts.Backend == "" {
		opts.Backend = dev.Kind
	}
	if err := checkThreads(opts, dev); err != nil {
		return state.EngineOptions{}, state.Footprint{}, err
	}
	quant, kv, err := model.Precision(opts.Backend, opts.Quant, opts.KVDType)
	if err != nil {
		return state.EngineOptions{}, state.Footprint{}, err
	}
	size, limits, err := model.Size(meta, opts.Backend, model.Options{
		Context: opts.Context, MaxRunning: opts.MaxRunning, StepTokens: opts.StepTokens, KVBytes: opts.KVBytes,
		Threads: opts.Threads, ISA: opts.ISA, Invariant: opts.Invariant, Quant: quant, KVDType: kv,
	}, dev.MemoryBytes)
	if err != nil {
		return state.EngineOptions{}, state.Footprint{}, err
	}
	bytes, err := model.Footprint(meta, limits, opts.Backend)
	if err != nil {
		return state.EngineOptions{}, state.Footprint{}, err
	}
	opts.Context, opts.MaxRunning, opts.StepTokens, opts.KVBytes = size.Context, size.MaxRunning, size.StepTokens, size.KVBytes
	opts.Quant, opts.KVDType = model.Names(limits)
	return opts, state.Footprint{
		Weights: bytes.Weights, KV: bytes.KV, Activations: bytes.Activations, Workspace: bytes.Workspace,
	}, nil
}

// checkThreads refuses more threads than a device has cores, which would only wait for
// each other. A device that does not tell its cores takes any number.
func checkThreads(o state.EngineOptions, dev state.Device) error {
	if o.Backend != "cpu" || dev.Cores == 0 || o.Threads <= dev.Cores {
		return nil
	}
	return &model.OptionError{Field: "threads", Value: o.Threads,
		Reason: fmt.Sprintf("must be at most %d, the cores of %s", dev.Cores, cmp.Or(dev.Name, "the device"))}
}
