package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/bench"
	"github.com/nanofleet/nanofleet/engine/local"
	"github.com/nanofleet/nanofleet/engine/model"
)

// engineBench are the flags of bench --engine.
type engineBench struct {
	on        bool
	backend   string
	shape     string
	workload  string
	batch     int
	input     int
	output    int
	quant     string
	kvDType   string
	runs      int
	threads   uint32
	step      uint32
	invariant bool
	bandwidth float64 // GB/s; 0 = as the device is known for
}

// engineReport is what bench --engine prints.
type engineReport struct {
	Shape   string `json:"shape"`
	Quant   string `json:"quant"`
	KVDType string `json:"kv_dtype"`
	Driver  string `json:"driver,omitempty"`
	Clocks  string `json:"clocks,omitempty"`
	*bench.Report
}

// engineOnly are flags that mean something with --engine alone.
var engineOnly = []string{"backend", "shape", "workload", "batch", "input", "output", "quant", "kv-dtype", "runs", "threads", "step-tokens", "invariant", "bandwidth"}

func (b *engineBench) flags(f *pflag.FlagSet) {
	f.BoolVar(&b.on, "engine", false, "measure an engine in this process instead, without a fleet")
	f.StringVar(&b.backend, "backend", "", "with --engine: cpu, cuda or ref (default: cuda where there is a GPU, else cpu)")
	f.StringVar(&b.shape, "shape", "qwen3-0.6b", "with --engine: "+bench.ShapeNames()+" with random weights, a config.json likewise, or a model's path")
	f.StringVar(&b.workload, "workload", string(bench.Decode), "with --engine: nano-vllm (its bench's 256 lengths), decode or prefill")
	f.IntVar(&b.batch, "batch", 1, "with --engine: sequences at once")
	f.IntVar(&b.input, "input", 512, "with --engine: tokens in each prompt")
	f.IntVar(&b.output, "output", 128, "with --engine: tokens in each answer")
	f.StringVar(&b.quant, "quant", "", "with --engine: "+quantUsage)
	f.StringVar(&b.kvDType, "kv-dtype", "", "with --engine: "+kvDTypeUsage)
	f.IntVar(&b.runs, "runs", 3, "with --engine: runs behind a short one that warms up")
	f.Uint32Var(&b.threads, "threads", 0, "with --engine: compute threads of the cpu backend (default: one per core)")
	f.Uint32Var(&b.step, "step-tokens", 0, "with --engine: token budget of one step (default: the backend's)")
	f.BoolVar(&b.invariant, "invariant", false, "with --engine: demand bits that never depend on the batch")
	f.Float64Var(&b.bandwidth, "bandwidth", 0, "with --engine: GB/s that the device reads, for the share of the bound (default: of known GPUs)")
}

// check refuses flags of one way to measure beside the other.
func (b *engineBench) check(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		forEngine := f.Name == "engine" || slices.Contains(engineOnly, f.Name)
		shared := c.InheritedFlags().Lookup(f.Name) != nil
		switch {
		case shared || err != nil:
		case b.on && !forEngine:
			err = usagef("--%s measures an endpoint and --engine none; see `%s --help`", f.Name, c.CommandPath())
		case !b.on && forEngine:
			err = usagef("--%s wants --engine; see `%s --help`", f.Name, c.CommandPath())
		}
	})
	if err == nil && b.on && (b.runs < 1 || b.runs > 100) {
		err = usagef("--runs %d: want 1 to 100", b.runs)
	}
	return err
}

// run measures and gives all that a figure carries.
func (b *engineBench) run(ctx context.Context) (*engineReport, error) {
	w, err := bench.New(bench.Kind(b.workload), b.batch, b.input, b.output)
	if err != nil {
		return nil, usageError{err}
	}
	i, err := b.open(&w)
	if err != nil {
		return nil, err
	}
	defer i.Close() // what was lost was told by the measure
	r, err := bench.Measure(ctx, i, w, b.runs, b.speed(i.Device.Name), b.progress)
	if err != nil {
		return nil, err
	}
	driver, clocks := gpuState(i.Backend)
	return &engineReport{Shape: b.shape, Quant: orWord(b.quant, "none"), KVDType: orWord(b.kvDType, "own"), Driver: driver, Clocks: clocks, Report: r}, nil
}

// open loads the shape with room for the whole workload, on the first backend that works.
func (b *engineBench) open(w *bench.Workload) (*local.Instance, error) {
	c := local.Config{Backends: backends(), Backend: b.backend, Quant: b.quant, KVDType: b.kvDType, NoPrefixCache: true,
		Options: model.Options{Threads: b.threads, StepTokens: b.step, Invariant: b.invariant}}
	text, named := bench.Shape(b.shape)
	switch {
	case named:
		c.Shape = text
	case strings.HasSuffix(b.shape, ".json"):
		var err error
		if c.Shape, err = os.ReadFile(b.shape); err != nil {
			return nil, usagef("--shape: %w", err)
		}
	default:
		c.Path = b.shape
		if _, err := os.Stat(b.shape); err != nil {
			return nil, usagef("--shape %q: want one of %s, a config.json or a model's path", b.shape, bench.ShapeNames())
		}
	}
	c.Fit = func(m *model.Meta, backend string, o model.Options) (model.Options, error) {
		return w.Size(m, backend, o)
	}
	return local.Open(c)
}

// speed is what the device reads, bytes a second; 0 when unknown.
func (b *engineBench) speed(device string) float64 {
	if b.bandwidth > 0 {
		return b.bandwidth * 1e9
	}
	return cardSpeed(device) * 1e9
}

// progress says each run on a terminal.
func (b *engineBench) progress(r bench.Run) {
	if newScreen(os.Stderr).tty != nil {
		fmt.Fprintf(os.Stderr, "run: %.0f tok/s in %.2f s\n", r.Rate, r.Seconds)
	}
}

func orWord(s, absent string) string {
	if s == "" || s == abi.QuantNone.String() {
		return absent
	}
	return s
}

// tell prints a report for people.
func (r *engineReport) tell(w io.Writer) {
	spread := func(name, unit string, s bench.Spread) {
		fmt.Fprintf(w, "%s\t%s %s\t%s to %s over %d runs\n", name, figure(s.Median), unit, figure(s.Least), figure(s.Most), len(r.Runs))
	}
	fmt.Fprintf(w, "device\t%s\t%s\n", r.Device, strings.Join(present(r.Driver, r.Clocks), ", "))
	fmt.Fprintf(w, "shape\t%s\tquant %s, KV %s, %s\n", r.Shape, r.Quant, r.KVDType, r.Numerics)
	fmt.Fprintf(w, "workload\t%s\t%d requests, %d tokens in, %d out\n", r.Workload, r.Requests, r.Input, r.Output)
	fmt.Fprintf(w, "loaded\t%.1f s\t%s\n", r.LoadS, size(r.Footprint))
	switch r.Workload {
	case bench.Decode:
		spread("decode", "tok/s", r.Decode)
		spread("with prompts", "tok/s", r.Rate)
	case bench.NanoVLLM:
		spread("output", "tok/s", r.Rate)
	case bench.Prefill:
		fmt.Fprintf(w, "prompts\t%s tok/s\tat the median\n", figure(float64(r.Input)/r.First.Median*1e3))
	}
	spread("first token", "ms", r.First)
	if r.Bound > 0 {
		fmt.Fprintf(w, "byte bound\t%s tok/s\t%.1f%% of it, at %.0f GB/s\n", figure(r.Bound), 100*r.Share, r.Bandwidth/1e9)
	}
}

// present are those that are not empty.
func present(list ...string) (out []string) {
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// figure says a number with four digits that count.
func figure(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
