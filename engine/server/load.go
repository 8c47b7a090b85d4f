package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/wire"
)

// Phases of a load, as LoadProgress names them.
const (
	phaseMap    = "map"    // bytes handed to the backend
	phaseRepack = "repack" // bytes laid out by it
	phaseWarm   = "warm"   // one request
)

// loadAndServe loads and then runs the engine until it ends.
func (s *server) loadAndServe(l *wire.Load) {
	log := s.log.With("instance", l.GetInstance(), "model", l.GetModel(), "version", l.GetVersion())
	log.Info("load begins", "path", l.GetPath())
	i, err := s.load(l)
	if err != nil {
		s.fail(invalid("", err.Error()))
		log.Error("load failed", "error", err)
		return
	}
	defer i.backend.Close()
	run := make(chan error, 1)
	go func() { run <- i.Run(s.ctx) }()
	s.work.Go(func() { s.watch(i) })
	if err := s.warm(i); err != nil {
		err = errors.Join(err, context.Cause(s.ctx))
		log.Error("warm-up failed", "error", err)
		s.fail(&wire.Error{Code: wire.ErrorCode_ERROR_CODE_INTERNAL, Message: "the warm-up request failed"})
		s.end(fmt.Errorf("server: warm up: %w", err))
		<-run
		return
	}
	s.ready(i)
	log.Info("engine ready", "numerics_id", i.ready.GetNumericsId(), "backend", i.ready.GetBackend(), "pages", i.ready.GetPages())
	s.work.Go(func() { s.report(i) })
	s.ended(<-run)
}

// ready makes the instance serve and says so.
func (s *server) ready(i *instance) {
	s.mu.Lock()
	s.state.instance = i
	s.mu.Unlock()
	s.tell(readyEvent(i))
	s.tell(statsEvent(i))
}

// ended takes the end of the engine's loop: without our asking, the backend is lost.
func (s *server) ended(err error) {
	if s.ctx.Err() != nil {
		return
	}
	message := "the engine has lost its backend"
	if hung := (*hungError)(nil); errors.As(err, &hung) {
		message = hung.Error()
	}
	s.log.Error("engine lost", "error", err)
	s.fail(&wire.Error{Code: wire.ErrorCode_ERROR_CODE_INTERNAL, Message: message})
	s.end(fmt.Errorf("server: engine ended: %w", err))
}

// fail keeps and tells a failure; what follows from it is no news.
func (s *server) fail(e *wire.Error) {
	s.mu.Lock()
	first := s.state.failed == nil
	if first {
		s.state.failed = e
	}
	s.mu.Unlock()
	if first {
		s.tell(failedEvent(e))
	}
}

// progress keeps and tells how far a load is.
func (s *server) progress(phase string, done, total uint64) {
	p := &wire.LoadProgress{Phase: phase, Done: done, Total: total}
	s.mu.Lock()
	s.state.progress = p
	s.mu.Unlock()
	s.tell(progressEvent(p))
}

// load makes an instance of a model; the model's files are closed by then.
func (s *server) load(l *wire.Load) (*instance, error) {
	m, err := model.Load(l.GetPath())
	if err != nil {
		return nil, err
	}
	defer m.Close()
	c, err := s.choose(&m.Meta, l)
	if err != nil {
		return nil, err
	}
	i, err := s.fill(m, l, c)
	if err != nil {
		return nil, errors.Join(err, c.backend.Close())
	}
	return i, nil
}

// fill gives the backend its weights and builds the engine over it.
func (s *server) fill(m *model.Model, l *wire.Load, c *choice) (*instance, error) {
	if err := s.put(m, c.backend); err != nil {
		return nil, err
	}
	total := c.footprint.Total()
	s.progress(phaseRepack, 0, total)
	bytes, err := c.backend.Finalise()
	if err != nil {
		return nil, err
	}
	s.progress(phaseRepack, total, total)
	if bytes != c.footprint {
		return nil, fmt.Errorf("footprint: %+v taken, %+v planned", bytes, c.footprint)
	}
	e, err := engine.New(engine.Config{
		Backend: c.backend, Limits: c.limits, Vocab: int(m.Plan.VocabSize), Tokenizer: m.Tokenizer,
		EOS: m.EOS, Width: c.width, Queue: queue(l.GetOptions(), c.limits), NoPrefixCache: l.GetOptions().GetNoPrefixCache(), Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return &instance{Engine: e, backend: c.backend, load: l, ready: c.ready(), tokens: m.Tokenizer.TokenBytes}, nil
}

// queue is how many requests wait beyond those that run; by default some rounds of
// them, since a longer wait is better spent at another instance.
func queue(o *wire.EngineOptions, l abi.Limits) int {
	const rounds = 4
	if n := o.GetQueue(); n > 0 {
		return count(n)
	}
	return rounds * int(l.MaxSlots)
}

// put hands the plan and every tensor over.
func (s *server) put(m *model.Model, b engine.Backend) error {
	var done, total uint64
	for _, w := range m.Weights {
		total += w.Bytes()
	}
	if err := b.Plan(&m.Plan); err != nil {
		return err
	}
	s.progress(phaseMap, 0, total)
	told := done
	for t, err := range m.Tensors() {
		if err = errors.Join(err, context.Cause(s.ctx)); err != nil {
			return err
		}
		if err := b.PutTensor(t); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if done += uint64(len(t.Data)); done-told >= total/100 {
			s.progress(phaseMap, done, total)
			told = done
		}
	}
	return nil
}

// warm has the engine answer once, so that the first user does not wait for page
// faults and lazy work.
func (s *server) warm(i *instance) error {
	s.progress(phaseWarm, 0, 1)
	q, err := i.Submit(&engine.Request{
		ID: "warm-up", Prompt: []int32{0}, MaxTokens: int(min(2, max(1, i.ready.GetContext()-1))),
		IgnoreEOS: true, Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1},
	})
	if err != nil {
		return err
	}
	for {
		ev, err := q.Next(s.ctx)
		if err != nil {
			return err
		}
		if _, ok := ev.(engine.Finished); ok {
			s.progress(phaseWarm, 1, 1)
			return nil
		}
	}
}
