package model

import (
	"fmt"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Options size an instance; zero takes the default.
type Options struct {
	Context    uint32 // longest sequence in tokens; default: the model's own
	MaxRunning uint32 // sequences computed at once
	StepTokens uint32 // token budget of one step
	KVBytes    uint64 // KV pool; default: four sequences of full length, within half the memory
	Threads    uint32
	ISA        string
	Invariant  bool
	Quant      abi.Quant // what Precision reads
	KVDType    abi.DType
}

// defaults of each backend, by what its hardware digests in one step.
var defaults = map[string]Options{
	"ref":  {MaxRunning: 4, StepTokens: 256},
	"cpu":  {MaxRunning: 16, StepTokens: 512},
	"cuda": {MaxRunning: 256, StepTokens: 8192},
}

// fullContexts the default KV pool holds.
const fullContexts = 4

// Size resolves options for a model on a backend: the numbers to store with an
// instance, and the Limits they mean. memory is what the device offers to engines, in
// bytes; 0 when unknown. The same arguments give the same answer everywhere, so that
// what placement promises is what the engine takes.
func Size(m *Meta, backend string, o Options, memory uint64) (Options, abi.Limits, error) {
	base, ok := defaults[backend]
	if !ok {
		return o, abi.Limits{}, noBackend(backend)
	}
	if o.Context == 0 {
		o.Context = m.Context
	}
	if o.Context > m.Context {
		return o, abi.Limits{}, badOption("context", o.Context, "must be at most %d, the longest the model was made for", m.Context)
	}
	if o.MaxRunning == 0 {
		o.MaxRunning = base.MaxRunning
	}
	if o.StepTokens == 0 {
		o.StepTokens = base.StepTokens
	}
	// Every running sequence must get its token in one step.
	o.StepTokens = max(o.StepTokens, o.MaxRunning)
	limits := abi.Limits{
		MaxSlots: o.MaxRunning, MaxRows: o.MaxRunning, MaxTokens: o.StepTokens, MaxPositions: o.Context,
		Threads: o.Threads, ISA: o.ISA, Invariant: o.Invariant, Pages: 1,
		Quant: o.Quant, KVDType: o.KVDType,
	}
	one, err := Footprint(m, limits, backend)
	if err != nil {
		return o, abi.Limits{}, err
	}
	if o.KVBytes == 0 {
		o.KVBytes = defaultKV(o, one, memory)
	}
	limits.Pages = uint32(min(o.KVBytes/one.KV, 1<<31))
	if need := pages(o.Context); limits.Pages < need {
		return o, abi.Limits{}, badOption("kv_bytes", o.KVBytes, "must be at least %d to hold one sequence of %d tokens",
			uint64(need)*one.KV, o.Context)
	}
	o.KVBytes = uint64(limits.Pages) * one.KV
	return o, limits, nil
}

func noBackend(name string) error {
	return fmt.Errorf("model: no backend %q (known: %s)", name, supported(defaults))
}

// pages that a sequence of so many positions takes.
func pages(positions uint32) uint32 { return (positions + abi.PageLen - 1) / abi.PageLen }

// defaultKV gives room for some sequences of full length, at least one, and not more
// than half of the memory that the rest of the instance leaves.
func defaultKV(o Options, one abi.Bytes, memory uint64) uint64 {
	sequence := uint64(pages(o.Context)) * one.KV
	want := sequence * uint64(min(fullContexts, o.MaxRunning))
	if rest := one.Total() - one.KV; memory > rest {
		want = min(want, (memory-rest)/2)
	}
	return max(want, sequence)
}
