package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// part is what came from one sequence since the last time it was taken.
type part struct {
	accepted *wire.Accepted
	prompt   []*wire.Logprob // of the prompt's tokens but the first
	vector   []float32
	text     []byte
	ids      []int32
	unshown  int // tokens that nobody asked for
	logprobs []*wire.Logprob
	finished *wire.Finished
	queue    time.Duration // with accepted, from the call of the router; with finished, as the engine tells
	engine   time.Duration // with finished: queue, and what the engine took
	err      error
}

// reset empties the part and keeps its memory.
func (p *part) reset() {
	*p = part{text: p.text[:0], ids: p.ids[:0], logprobs: p.logprobs[:0], prompt: p.prompt[:0]}
}

// tokens counts those that came.
func (p *part) tokens() int { return len(p.ids) + p.unshown }

// quiet says that nothing came.
func (p *part) quiet() bool {
	return p.accepted == nil && p.tokens() == 0 && len(p.text) == 0 && len(p.prompt) == 0 && p.vector == nil &&
		p.finished == nil && p.err == nil
}

// sink turns parts into an answer.
type sink interface {
	part(index int, p *part) error // what came from a sequence
	flush() error                  // behind the parts of one round
	idle() error                   // nothing came for a while
}

// flow runs the sequences of a job. A goroutine for each reads; what it reads is
// joined to what already waits, so that a slow client costs the memory of the
// text and delays nobody.
type flow struct {
	x      *exchange
	job    *job
	clocks *clocks
	slots  chan struct{} // taken while a sequence runs
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // one wake-up is kept
	leads  []*lead       // by prompt; nil where nothing is shared

	mu      sync.Mutex
	pending []part // by sequence

	taken  []part // the other half of the double buffer
	counts []count
	open   int // sequences that have not finished
}

// count is what one sequence used so far.
type count struct{ prompt, cached, generated int }

// newFlow starts the sequences.
func newFlow(x *exchange, j *job) *flow {
	ctx, cancel := context.WithCancel(x.r.Context())
	list := j.sequences(x)
	f := &flow{
		x: x, job: j, clocks: x.g.clocks(x, j), slots: make(chan struct{}, j.parallel()),
		cancel: cancel, wake: make(chan struct{}, 1), open: len(list),
		pending: make([]part, len(list)), taken: make([]part, len(list)), counts: make([]count, len(list)),
	}
	f.leads = j.leads()
	for i, req := range list {
		f.wg.Go(func() {
			if err := f.read(ctx, i, req); err != nil {
				f.put(i, func(p *part) { p.err = err })
			}
		})
	}
	return f
}

// errCut says that a stream ended without its Finished event.
var errCut = errors.New("gateway: a sequence ended without saying why")

// read follows one sequence to its end.
func (f *flow) read(ctx context.Context, i int, req *wire.GenerateRequest) (err error) {
	defer guard(&err)
	lead, err := f.follow(ctx, i)
	if err != nil {
		return err
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	clock := f.clocks.start()
	defer func() { clock.end(err) }()
	s, err := f.x.g.Router.Generate(ctx, f.job.model.Name, req)
	if err != nil {
		return err
	}
	defer s.Close()
	clock.opened()
	for {
		ev, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return errCut
		}
		if err != nil {
			return err
		}
		switch e := ev.GetEvent().(type) {
		case *wire.GenerateEvent_Accepted:
			queue := clock.accepted()
			f.put(i, func(p *part) { p.accepted, p.queue = e.Accepted, queue })
		case *wire.GenerateEvent_PromptLogprobs:
			f.put(i, func(p *part) { p.prompt = append(p.prompt, e.PromptLogprobs.GetTokens()...) })
			lead.told(len(e.PromptLogprobs.GetTokens()))
		case *wire.GenerateEvent_Pooled:
			f.put(i, func(p *part) { p.vector = e.Pooled.GetValues() })
		case *wire.GenerateEvent_Tokens:
			clock.step(len(e.Tokens.GetIds()))
			f.put(i, func(p *part) { p.add(e.Tokens, f.job.scoring) })
		case *wire.GenerateEvent_Finished:
			queue, engine := clock.finished(e.Finished)
			f.put(i, func(p *part) { p.finished, p.queue, p.engine = e.Finished, queue, engine })
			return nil
		case *wire.GenerateEvent_Error:
			return FromWire(e.Error)
		}
	}
}

func (p *part) add(t *wire.Tokens, unshown bool) {
	if unshown {
		p.unshown += len(t.GetIds())
		return
	}
	p.text = append(p.text, t.GetText()...)
	p.ids = append(p.ids, t.GetIds()...)
	p.logprobs = append(p.logprobs, t.GetLogprobs()...)
}

// put changes what waits of a sequence and wakes the writer.
func (f *flow) put(i int, change func(*part)) {
	f.mu.Lock()
	change(&f.pending[i])
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take is all that waits, counted. It is valid until the next call.
func (f *flow) take() []part {
	for i := range f.taken {
		f.taken[i].reset()
	}
	f.mu.Lock()
	f.pending, f.taken = f.taken, f.pending
	f.mu.Unlock()
	for i := range f.taken {
		f.counts[i].add(&f.taken[i])
	}
	return f.taken
}

func (c *count) add(p *part) {
	if a := p.accepted; a != nil {
		c.prompt, c.cached = int(a.GetPromptTokens()), int(a.GetCachedTokens())
	}
	c.generated += p.tokens()
	if d := p.finished; d != nil {
		c.prompt, c.cached, c.generated = int(d.GetPromptTokens()), int(d.GetCachedTokens()), int(d.GetGeneratedTokens())
	}
}

// pump moves everything to the sink until all sequences have finished, one fails
// or the client goes away.
func (f *flow) pump(out sink) error {
	tick := time.NewTicker(f.x.g.keepAlive)
	defer tick.Stop()
	for f.open > 0 {
		select {
		case <-f.x.r.Context().Done():
			return errGone
		case <-tick.C:
			if err := out.idle(); err != nil {
				return err
			}
		case <-f.wake:
			if err := f.round(out); err != nil {
				return err
			}
			tick.Reset(f.x.g.keepAlive)
		}
	}
	return nil
}

// round moves what waits.
func (f *flow) round(out sink) error {
	list := f.take()
	for i := range list {
		p := &list[i]
		if p.quiet() {
			continue
		}
		if p.tokens() > 0 && f.x.record.FirstToken == 0 {
			f.x.record.FirstToken = time.Since(f.x.started)
		}
		f.x.times.take(p)
		if p.err != nil {
			return p.err
		}
		if err := out.part(i, p); err != nil {
			return err
		}
		if p.finished != nil {
			f.open--
		}
	}
	return out.flush()
}

// stop cancels what still runs, waits for its readers and counts the last tokens.
func (f *flow) stop() {
	f.cancel()
	f.wg.Wait()
	f.take()
}
