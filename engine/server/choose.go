package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/wire"
)

// choice is a backend made for a model.
type choice struct {
	name      string
	width     int // of a pooled vector
	backend   engine.Backend
	limits    abi.Limits
	footprint abi.Bytes
}

// ready describes the instance to the agent.
func (c *choice) ready() *wire.EngineReady {
	return &wire.EngineReady{
		NumericsId: c.backend.NumericsID(),
		Footprint: &wire.Footprint{
			Weights: c.footprint.Weights, Kv: c.footprint.KV,
			Activations: c.footprint.Activations, Workspace: c.footprint.Workspace,
		},
		Context: c.limits.MaxPositions, MaxRunning: c.limits.MaxSlots, Pages: c.limits.Pages,
		Backend: c.name, Device: c.backend.Probe().Name, Width: uint32(c.width),
	}
}

// choose makes the backend that the options name; without a name CUDA, where this
// build has it and it works, and else the CPU.
func (s *server) choose(m *model.Meta, l *wire.Load) (*choice, error) {
	names := []string{"cuda", "cpu"}
	if name := l.GetOptions().GetBackend(); name != "" {
		names = []string{name}
	}
	var failed []error
	for _, name := range names {
		c, err := s.try(name, m, l)
		if err == nil {
			return c, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// try sizes the model for one backend and makes it.
func (s *server) try(name string, m *model.Meta, l *wire.Load) (*choice, error) {
	build, ok := s.cfg.Backends[name]
	if !ok {
		have := strings.Join(slices.Sorted(maps.Keys(s.cfg.Backends)), ", ")
		return nil, fmt.Errorf("backend: %q, must be one of this build's: %s", name, have)
	}
	opts := options(l.GetOptions())
	var err error
	if opts.Quant, opts.KVDType, err = model.Precision(name, l.GetOptions().GetQuant(), l.GetOptions().GetKvDtype()); err != nil {
		return nil, err
	}
	_, limits, err := model.Size(m, name, opts, l.GetMemoryMax())
	if err != nil {
		return nil, err
	}
	limits.MemoryMax = l.GetMemoryMax()
	footprint, err := model.Footprint(m, limits, name)
	if err != nil {
		return nil, err
	}
	if most := l.GetMemoryMax(); most > 0 && footprint.Total() > most {
		return nil, fmt.Errorf("memory_max: %d bytes, must be at least %d for this model and these options", most, footprint.Total())
	}
	b, err := build(limits)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	return &choice{name, m.Plan.PoolWidth(), b, limits, footprint}, nil
}

// options as the model package takes them.
func options(o *wire.EngineOptions) model.Options {
	return model.Options{
		Context: o.GetContext(), MaxRunning: o.GetMaxRunning(), StepTokens: o.GetStepTokens(),
		KVBytes: o.GetKvBytes(), Threads: o.GetThreads(), ISA: o.GetIsa(), Invariant: o.GetInvariant(),
	}
}
