package gpu

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// serve runs the engine over the device until the test ends.
func serve(t *testing.T, limits abi.Limits, noPrefixes bool) *engine.Engine {
	t.Helper()
	m := open(t, tiny.GGUF())
	e, err := engine.New(engine.Config{
		Backend: start(t, m, limits), Limits: limits, Vocab: tiny.Vocab, Tokenizer: m.Tokenizer, EOS: m.EOS, Queue: 64, NoPrefixCache: noPrefixes,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return e
}

// mixed are sixteen requests: greedy and drawn, long and short, with shared
// beginnings and penalties.
func mixed() (list []*engine.Request) {
	r := rand.New(rand.NewPCG(1, 2))
	shared := make([]int32, 300)
	for i := range shared {
		shared[i] = 3 + r.Int32N(tiny.Vocab-3)
	}
	for i := range 16 {
		s := sample.Defaults()
		if s.Logprobs = true; i%2 == 0 {
			s.Temperature = 0
		}
		if i%5 == 0 {
			s.Repetition, s.Frequency = 1.2, 0.3
		}
		prompt := append(slices.Clone(shared[:20*i]), 3+r.Int32N(tiny.Vocab-3), 3+r.Int32N(tiny.Vocab-3))
		list = append(list, &engine.Request{Prompt: prompt, Sampling: s, Seed: uint64(i), MaxTokens: 20 + i, IgnoreEOS: true})
	}
	return list
}

type told struct {
	ids      []int32
	logprobs []float32
}

func submit(t *testing.T, e *engine.Engine, r *engine.Request) *engine.Sequence {
	t.Helper()
	s, err := e.Submit(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t *testing.T, s *engine.Sequence) (a told) {
	t.Helper()
	for {
		ev, err := s.Next(context.Background())
		if err == io.EOF {
			return a
		}
		if err != nil {
			t.Error(err)
			return a
		}
		if ev, ok := ev.(engine.Tokens); ok {
			a.ids = append(a.ids, ev.IDs...)
			for _, l := range ev.Logprobs {
				a.logprobs = append(a.logprobs, l.Logprob)
			}
		}
	}
}

// TestTogetherAsAlone sends requests alone and then all at once, to an engine that
// keeps prefixes and to one with too few pages. With invariance the bits are the same.
func TestTogetherAsAlone(t *testing.T) {
	device(t)
	for _, cache := range caches {
		t.Run(cache.dtype.String(), func(t *testing.T) { togetherAsAlone(t, cache.dtype) })
	}
}

func togetherAsAlone(t *testing.T, kv abi.DType) {
	limits := abi.Limits{MaxSlots: 16, MaxRows: 16, MaxTokens: 128, MaxPositions: 512, Pages: 128, Invariant: true, KVDType: kv}
	alone := serve(t, limits, true)
	var want []told
	for _, r := range mixed() {
		want = append(want, read(t, submit(t, alone, r)))
	}
	tight := limits
	tight.Pages = 9 // one sequence of full length and a little
	for _, c := range []struct {
		name       string
		limits     abi.Limits
		noPrefixes bool
	}{{"roomy", limits, false}, {"no prefixes", limits, true}, {"few pages", tight, false}} {
		e := serve(t, c.limits, c.noPrefixes)
		for round := range 2 {
			var all []*engine.Sequence
			for _, r := range mixed() {
				all = append(all, submit(t, e, r))
			}
			for i, s := range all {
				if got := read(t, s); !slices.Equal(got.ids, want[i].ids) || !slices.Equal(got.logprobs, want[i].logprobs) {
					t.Errorf("%s, round %d, request %d: %v, alone %v", c.name, round, i, got.ids, want[i].ids)
				}
			}
		}
		st := e.Stats()
		if c.name == "few pages" && st.Preemptions == 0 {
			t.Error("nothing was preempted on few pages")
		}
		if c.name == "roomy" && st.CachedTokens == 0 {
			t.Error("no prefix was found")
		}
	}
}
