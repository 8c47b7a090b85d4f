package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// Config of an instance.
type Config struct {
	// Path is the model's; with Shape, the text of a config.json, weights are random
	// and there is no path.
	Path  string
	Shape []byte
	// Backends are what this build can compute with, by name.
	Backends map[string]func(abi.Limits) (engine.Backend, error)
	Backend  string // "" = cuda where it works, else cpu
	Quant    string // as users say it; "" = none
	KVDType  string // "" = the backend's own
	Options  model.Options
	// Fit, when not nil, changes Options once model and backend are known.
	Fit   func(m *model.Meta, backend string, o model.Options) (model.Options, error)
	Queue int // requests held beyond those that run
	// Memory is what the backend may take, in bytes; 0 = no cap.
	Memory        uint64
	NoPrefixCache bool
}

// Instance is a running engine.
type Instance struct {
	*engine.Engine
	Meta      *model.Meta
	Backend   string
	Device    abi.ProbeInfo
	Numerics  string
	Limits    abi.Limits
	Footprint abi.Bytes
	Loaded    time.Duration // what loading took

	backend engine.Backend
	stop    context.CancelFunc
	done    chan error
}

// Open loads a model and starts its engine. Close it in the end.
func Open(c Config) (*Instance, error) {
	began := time.Now()
	meta, tensors, done, err := c.source()
	if err != nil {
		return nil, err
	}
	defer done()
	names := []string{"cuda", "cpu"}
	if c.Backend != "" {
		names = []string{c.Backend}
	}
	var failed []error
	for _, name := range names {
		i, err := c.try(name, meta)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if err := i.load(tensors); err != nil {
			return nil, errors.Join(err, i.backend.Close())
		}
		if err := i.start(c); err != nil {
			return nil, errors.Join(err, i.backend.Close())
		}
		i.Loaded = time.Since(began)
		return i, nil
	}
	return nil, errors.Join(failed...)
}

// source is where weights come from.
func (c *Config) source() (*model.Meta, iter.Seq2[*abi.Tensor, error], func(), error) {
	if c.Shape != nil {
		meta, err := model.FromShape(c.Shape)
		return meta, random(meta), func() {}, err
	}
	m, err := model.Load(c.Path)
	if err != nil {
		return nil, nil, nil, err
	}
	return &m.Meta, m.Tensors(), func() { m.Close() }, nil // it was only read
}

// random has the backend make the weights of a shape.
func random(m *model.Meta) iter.Seq2[*abi.Tensor, error] {
	return func(yield func(*abi.Tensor, error) bool) {
		for i, w := range m.Weights {
			t := &abi.Tensor{Name: w.Name, Part: w.Part, Rows: w.Rows, Cols: w.Cols, DType: abi.Synth, SynthSeed: uint64(i + 1)}
			if !yield(t, nil) {
				return
			}
		}
	}
}

// try makes one backend for the model.
func (c *Config) try(name string, m *model.Meta) (*Instance, error) {
	build, ok := c.Backends[name]
	if !ok {
		return nil, fmt.Errorf("backend: %q, must be one of this build's: %s", name, strings.Join(slices.Sorted(maps.Keys(c.Backends)), ", "))
	}
	o := c.Options
	var err error
	if o.Quant, o.KVDType, err = model.Precision(name, c.Quant, c.KVDType); err != nil {
		return nil, err
	}
	if c.Fit != nil {
		if o, err = c.Fit(m, name, o); err != nil {
			return nil, err
		}
	}
	_, limits, err := model.Size(m, name, o, c.Memory)
	if err != nil {
		return nil, err
	}
	limits.MemoryMax = c.Memory
	footprint, err := model.Footprint(m, limits, name)
	if err != nil {
		return nil, err
	}
	b, err := build(limits)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	return &Instance{Meta: m, Backend: name, Limits: limits, Footprint: footprint, backend: b}, nil
}

// load hands plan and tensors over and holds the backend to its footprint.
func (i *Instance) load(tensors iter.Seq2[*abi.Tensor, error]) error {
	if err := i.backend.Plan(&i.Meta.Plan); err != nil {
		return err
	}
	for t, err := range tensors {
		if err == nil {
			err = i.backend.PutTensor(t)
		}
		if err != nil {
			return err
		}
	}
	took, err := i.backend.Finalise()
	if err == nil && took != i.Footprint {
		err = fmt.Errorf("footprint: %+v taken, %+v planned", took, i.Footprint)
	}
	return err
}

// start runs the engine's loop.
func (i *Instance) start(c Config) (err error) {
	i.Engine, err = engine.New(engine.Config{
		Backend: i.backend, Limits: i.Limits, Vocab: int(i.Meta.Plan.VocabSize), Tokenizer: i.Meta.Tokenizer, EOS: i.Meta.EOS,
		Width: i.Meta.Plan.PoolWidth(), Queue: c.Queue, NoPrefixCache: c.NoPrefixCache,
	})
	if err != nil {
		return err
	}
	i.Device, i.Numerics = i.backend.Probe(), i.backend.NumericsID()
	ctx, stop := context.WithCancel(context.Background())
	i.stop, i.done = stop, make(chan error, 1)
	go func() { i.done <- i.Run(ctx) }()
	return nil
}

// Close ends the engine and frees what it held; the error is the engine's, if it was lost.
func (i *Instance) Close() error {
	i.stop()
	return errors.Join(<-i.done, i.backend.Close())
}
