package gpu

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/bench"
	"github.com/nanofleet/nanofleet/engine/sample"
)

// BenchmarkServed is nano-vLLM's bench through the engine: 256 requests at once, of 100
// to 1,024 tokens each, for 100 to 1,024 more, drawn at temperature 0.6.
func BenchmarkServed(b *testing.B) {
	for _, s := range shapes {
		for _, kv := range kvs {
			b.Run(s.name+kv.name, func(b *testing.B) { served(b, s.shape, kv.dtype) })
		}
	}
}

func served(b *testing.B, s shape, kv abi.DType) {
	limits := abi.Limits{MaxSlots: 256, MaxRows: 256, MaxTokens: 8192, MaxPositions: 2048, Pages: 256 * 20, KVDType: kv}
	backend, m := synthetic(b, s, limits)
	e, err := engine.New(engine.Config{Backend: backend, Limits: limits, Vocab: s.n("vocab_size"), Tokenizer: m.Tokenizer, EOS: m.EOS, Queue: 256, NoPrefixCache: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	began := time.Now()
	tokens := serveAll(b, e)
	took := time.Since(began).Seconds()
	stop()
	<-done
	b.ReportMetric(float64(tokens)/took, "tok/s")
	b.ReportMetric(took, "s")
	b.ReportMetric(0, "ns/op")
}

// serveAll submits every request and reads them to their ends.
func serveAll(b *testing.B, e *engine.Engine) (tokens int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	w, err := bench.New(bench.NanoVLLM, 0, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	for i, l := range w.Lengths {
		r := &engine.Request{MaxTokens: l.Out, Sampling: sample.Defaults(), Seed: uint64(i), IgnoreEOS: true}
		r.Sampling.Temperature = 0.6
		for t := range l.In {
			r.Prompt = append(r.Prompt, int32((t*7919+i*104729)%10000))
		}
		s, err := e.Submit(r)
		if err != nil {
			b.Fatal(err)
		}
		group.Go(func() {
			n := 0
			for {
				event, err := s.Next(context.Background())
				if err != nil {
					break
				}
				if t, ok := event.(engine.Tokens); ok {
					n += len(t.IDs)
				}
			}
			mu.Lock()
			tokens += n
			mu.Unlock()
		})
	}
	group.Wait()
	return tokens
}
