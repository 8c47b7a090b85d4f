package router

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// Router sends requests to instances. It is safe for concurrent use.
type Router struct {
	cfg      Config
	view     View
	dialer   Dialer
	now      func() time.Time
	lines    *lines
	trials   *lines // of suspects
	suspects suspects
	prefixes *prefixes

	resumed  atomic.Uint64
	poisoned atomic.Uint64

	mu        sync.Mutex
	opening   map[string]int // requests chosen for an instance whose stream is not open yet
	poisons   poisons
	lastTried time.Time // when a trial last found something out
}

// New makes a router over a fleet.
func New(cfg Config, view View, dialer Dialer, now func() time.Time) *Router {
	return &Router{
		cfg: cfg, view: view, dialer: dialer, now: now,
		lines: newLines(cfg.Line), trials: newLines(cfg.Line), suspects: suspects{on: map[process]*company{}},
		prefixes: newPrefixes(), opening: map[string]int{},
	}
}

// Generate runs a sequence on some instance of a model. It returns once a stream is
// open, however long the line; req is not changed.
func (r *Router) Generate(ctx context.Context, model string, req *wire.GenerateRequest) (*Stream, error) {
	s := &Stream{r: r, ctx: ctx, model: model, asked: req, shuns: shuns{}, alive: r.now()}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Resumed counts the requests that were carried on by another engine after tokens had
// been sent.
func (r *Router) Resumed() uint64 { return r.resumed.Load() }

// Poisoned counts the requests that were given up, or refused, because they ended
// engines.
func (r *Router) Poisoned() uint64 { return r.poisoned.Load() }

// Waiting counts the requests that wait for an instance of a model with room.
func (r *Router) Waiting(project, model string) int { return r.lines.length(lineKey(project, model)) }

// refuse tells whether a request ended engines before, on a version that the model
// name stands for.
func (r *Router) refuse(model string, req *wire.GenerateRequest) error {
	r.mu.Lock()
	none := len(r.poisons.order) == 0
	r.mu.Unlock()
	if none {
		return nil
	}
	list, _ := r.view.Candidates(req.GetProject(), model)
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.Version] {
			continue
		}
		seen[c.Version] = true
		if until := r.refusedUntil(fingerprintOf(c.Version, req)); !until.IsZero() {
			r.poisoned.Add(1)
			return &PoisonError{Until: until, Again: true}
		}
	}
	return nil
}

func (r *Router) refusedUntil(f fingerprint) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.poisons.refused(f, r.now())
}

// convict has a request refused from now on.
func (r *Router) convict(f fingerprint) error {
	r.poisoned.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poisons.remember(f, r.now())
	return &PoisonError{Until: r.poisons.refused(f, r.now())}
}

// tried tells when a trial last found something out.
func (r *Router) tried() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastTried
}

func (r *Router) noteTried(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastTried = now
}

// wanted is a request as it waits.
type wanted struct {
	project, model string
	priority       int32
	need           need
	shuns          shuns
	giveUp         time.Time
	deadline       time.Time // the request's own; zero is none
}

// acquire waits for an instance with room. Who calls must call opened once its stream
// is open or has failed.
func (r *Router) acquire(ctx context.Context, w wanted) (Candidate, error) {
	place, ok := r.lines.join(lineKey(w.project, w.model), w.priority)
	if !ok {
		return Candidate{}, &BusyError{w.model, retryAfter}
	}
	defer r.lines.leave(place)
	first := place.first
	for {
		changed := r.view.Changed()
		list, known := r.view.Candidates(w.project, w.model)
		if !known {
			return Candidate{}, ErrUnknownModel
		}
		now := r.now()
		if place.isFirst() {
			first = nil // heard
			if c, ok := r.choose(list, w, now); ok {
				return c, nil
			}
		}
		if err := w.over(list, now); err != nil {
			return Candidate{}, err
		}
		if err := pause(ctx, min(w.shuns.next(now), w.end().Sub(now)), changed, first); err != nil {
			return Candidate{}, err
		}
	}
}

// choose picks and counts the choice, so that the next one sees it.
func (r *Router) choose(list []Candidate, w wanted, now time.Time) (Candidate, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list {
		list[i].InFlight += r.opening[list[i].Instance]
	}
	c, ok := pick(list, w.need, w.shuns.at(now))
	if ok {
		r.opening[c.Instance]++
	}
	return c, ok
}

// opened takes back what choose counted: from here on the dialer counts the stream.
func (r *Router) opened(instance string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opening[instance]--; r.opening[instance] <= 0 {
		delete(r.opening, instance)
	}
}

// retryAfter is what a client is told that finds no room.
const retryAfter = 2 * time.Second

// end is when the wait ends.
func (w wanted) end() time.Time {
	if !w.deadline.IsZero() && w.deadline.Before(w.giveUp) {
		return w.deadline
	}
	return w.giveUp
}

// over says why the wait has ended, if it has.
func (w wanted) over(list []Candidate, now time.Time) error {
	switch {
	case !w.deadline.IsZero() && !now.Before(w.deadline):
		return ErrDeadline
	case now.Before(w.giveUp):
		return nil
	}
	for _, c := range list {
		if c.Ready {
			return &BusyError{w.model, retryAfter}
		}
	}
	return &NotReadyError{w.model, retryAfter}
}

// pause waits for d, for either channel, or for ctx.
func pause(ctx context.Context, d time.Duration, changed, first <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	case <-changed:
	case <-first:
	}
	return nil
}
