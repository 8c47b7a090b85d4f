package ref

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// build names this implementation in a numerics id; it rises when bits change.
const build = "1"

// Bounds on limits that no engine comes near; they keep products within 64 bits.
const (
	maxSlots     = 1 << 16
	maxRows      = 1 << 16
	maxTokens    = 1 << 20
	maxPositions = 1 << 27
	maxPages     = 1 << 26
)

// Engine is the reference backend. It satisfies engine.Backend.
type Engine struct {
	limits  abi.Limits
	threads int

	// Load.
	plan    *abi.Plan
	tensors map[string]map[uint32]*matrix // by name and part
	dtypes  []string                      // of the matrices put, for the numerics id

	// Compute; touched by the runner alone once Finalise has returned.
	ops     []boundOp
	tail    int // first operation over sampling rows
	headAt  int
	buffers map[uint32][]float32
	pool    pool
	scores  []float32 // MaxPositions for each token of a step

	// Submitter's books.
	slots []*slot
	masks map[uint32][]uint32
	seq   uint64 // last submitted
	ready bool

	jobs chan *job     // to the runner
	quit chan struct{} // closed by Close
	done sync.WaitGroup

	mu     sync.Mutex // guards what follows
	queue  []*job     // submitted and not yet waited for
	stats  abi.Stats
	closed bool
}

// Probe describes this host as the reference backend sees it.
func Probe() abi.ProbeInfo {
	return abi.ProbeInfo{Devices: 1, Name: "reference (Go)", ISA: runtime.GOARCH, Build: build}
}

// New makes an engine within limits. Threads 0 is one for each processor Go uses.
func New(limits abi.Limits) (*Engine, error) {
	for _, f := range []struct {
		name         string
		value, bound uint32
	}{
		{"max_slots", limits.MaxSlots, maxSlots}, {"max_rows", limits.MaxRows, maxRows},
		{"max_tokens", limits.MaxTokens, maxTokens}, {"max_positions", limits.MaxPositions, maxPositions},
		{"n_pages", limits.Pages, maxPages},
	} {
		if f.value == 0 || f.value > f.bound {
			return nil, abi.Errorf(abi.Invalid, "create", "%s = %d, must be from 1 to %d", f.name, f.value, f.bound)
		}
	}
	if limits.KVDType != 0 && limits.KVDType != abi.F32 {
		return nil, abi.Errorf(abi.Unsupported, "create", "kv_dtype = %v, only f32", limits.KVDType)
	}
	if limits.Quant != abi.QuantNone {
		return nil, abi.Errorf(abi.Unsupported, "create", "quant = %v, weights are computed as they come", limits.Quant)
	}
	if limits.ISA != "" && limits.ISA != runtime.GOARCH {
		return nil, abi.Errorf(abi.Unsupported, "create", "isa = %q, only %q", limits.ISA, runtime.GOARCH)
	}
	threads := int(limits.Threads)
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &Engine{
		limits: limits, threads: threads,
		tensors: map[string]map[uint32]*matrix{},
		slots:   make([]*slot, limits.MaxSlots),
		masks:   map[uint32][]uint32{},
		jobs:    make(chan *job, abi.Queue),
		quit:    make(chan struct{}),
	}, nil
}

// Probe describes the device.
func (e *Engine) Probe() abi.ProbeInfo { return Probe() }

// NumericsID names what decides a token's bits. Row invariance always holds here.
func (e *Engine) NumericsID() string {
	return fmt.Sprintf("ref/%s/%s/%s/f32/tp1/inv", runtime.GOARCH, build, strings.Join(e.dtypes, "+"))
}

// Stats counts since New.
func (e *Engine) Stats() abi.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// Close stops the runner; steps in flight are abandoned. A second call does nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	already := e.closed
	e.closed = true
	e.mu.Unlock()
	if !already {
		close(e.quit)
		e.done.Wait()
	}
	return nil
}

// account adds one finished step to the counters.
func (e *Engine) account(j *job, busy, idle time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Steps++
	e.stats.Tokens += uint64(len(j.tokens))
	for _, r := range j.rows {
		e.stats.Sampled += uint64(r.result.Accepted)
	}
	e.stats.BusyNS += uint64(busy)
	e.stats.IdleNS += uint64(idle)
}

// noteDType remembers a matrix's element type, sorted and once.
func (e *Engine) noteDType(d abi.DType) {
	if i, found := slices.BinarySearch(e.dtypes, d.String()); !found {
		e.dtypes = slices.Insert(e.dtypes, i, d.String())
	}
}
