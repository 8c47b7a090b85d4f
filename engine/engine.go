package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sched"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// Config of an engine. Backend must have been finalised under Limits.
type Config struct {
	Backend       Backend
	Limits        abi.Limits
	Vocab         int
	Tokenizer     *tokenizer.Tokenizer
	EOS           []int32
	Width         int // of a pooled vector (abi.Plan.PoolWidth); 0 = no pooling
	Queue         int // requests held beyond those that run
	NoPrefixCache bool
	Now           func() time.Time // for figures and deadlines; nil = time.Now
}

// Engine runs one model instance. Submit, Drain and Stats are safe for concurrent use;
// Run is called once.
type Engine struct {
	cfg Config

	mu        sync.Mutex // guards what follows
	inbox     []*Sequence
	cancels   []*Sequence
	open      int // sequences that have not ended
	draining  bool
	cancelAll bool // by a drain that lost its patience
	stopped   error
	stats     Stats
	idle      chan struct{} // closed when open falls to 0; nil when nobody waits

	wake  chan struct{} // one pending wake-up of the loop
	pulse pulse

	// The loop's own.
	sched  *sched.Scheduler
	owners map[*sched.Sequence]*Sequence
	spare  []*flight
	flight []*flight // submitted steps, oldest first
	seq    uint64
	meter  meter
	result abi.Result
}

// New makes an engine; Run starts it.
func New(cfg Config) (*Engine, error) {
	if cfg.Limits.MaxTokens < cfg.Limits.MaxRows {
		return nil, &InvalidError{"max_tokens", cfg.Limits.MaxTokens, "at least max_rows, so that every sequence gets its token"}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{
		cfg:    cfg,
		wake:   make(chan struct{}, 1),
		sched:  sched.New(cfg.Limits, !cfg.NoPrefixCache),
		owners: map[*sched.Sequence]*Sequence{},
	}
	for range abi.Queue + 1 {
		e.spare = append(e.spare, &flight{})
	}
	e.stats.PagesTotal = int(cfg.Limits.Pages)
	return e, nil
}

// Submit takes in a request. It fails with an *InvalidError, *ContextError or
// *BusyError, or with ErrDraining or ErrStopped.
func (e *Engine) Submit(r *Request) (*Sequence, error) {
	most, err := e.check(r)
	if err != nil {
		return nil, err
	}
	s := newSequence(e, r, most)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.stopped != nil:
		return nil, ErrStopped
	case e.draining:
		return nil, ErrDraining
	case e.open >= int(e.cfg.Limits.MaxSlots)+e.cfg.Queue:
		return nil, &BusyError{e.stats.wait()}
	}
	s.submitted = e.cfg.Now()
	e.open++
	e.inbox = append(e.inbox, s)
	e.rouse()
	return s, nil
}

// rouse wakes the loop.
func (e *Engine) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Drain takes nothing new and waits until every sequence has ended; at the end of ctx
// it cancels those that have not. It returns how many ended well and how many did not.
func (e *Engine) Drain(ctx context.Context) (finished, cancelled int, err error) {
	e.mu.Lock()
	e.draining = true
	before := e.stats
	e.mu.Unlock()
	if !e.settled(ctx) {
		e.mu.Lock()
		e.draining, e.cancelAll = true, true
		e.rouse()
		e.mu.Unlock()
		patience, cancel := context.WithTimeout(context.Background(), drainPatience)
		defer cancel()
		if !e.settled(patience) {
			err = fmt.Errorf("engine: drain: a step still runs %v after everything was cancelled", drainPatience)
		}
	}
	after := e.Stats()
	return int(after.Finished - before.Finished), int(after.Cancelled - before.Cancelled + after.Failed - before.Failed), err
}

// drainPatience is how long a drain waits for cancelled sequences to leave.
const drainPatience = 10 * time.Second

// settled waits until no sequence is open; false when ctx ends first.
func (e *Engine) settled(ctx context.Context) bool {
	e.mu.Lock()
	if e.open == 0 || e.stopped != nil {
		e.mu.Unlock()
		return true
	}
	if e.idle == nil {
		e.idle = make(chan struct{})
	}
	idle := e.idle
	e.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}
