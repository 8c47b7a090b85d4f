package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

func number(n int) *int { return &n }

// alone is the reference backend with the tiny model and nothing else running: its
// prompt logprobs and vectors are held to transformers' by its own tests.
func alone(t *testing.T) *golden.Driver {
	t.Helper()
	b, _ := golden.Filled(t, tiny.GGUF(), limits(), "ref", ref.New)
	return &golden.Driver{Backend: b}
}

// cats is a prompt of n tokens.
func (r *rig) cats(n int) []int32 {
	return r.meta.Tokenizer.Encode(strings.Repeat("Where is the cat? ", 80), encodePlain)[:n]
}

// sameScores compares what an engine told with what a backend reports.
func sameScores(t *testing.T, name string, prompt []int32, got []engine.TokenLogprob, want []abi.PromptLogprob) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d tokens of %d", name, len(got), len(want))
		return
	}
	for i, g := range got {
		w := &want[i]
		ok := g.ID == prompt[i+1] && g.Logprob == w.Logprob && g.Rank == w.Rank && len(g.Top) == int(w.Top)
		for k := range g.Top {
			ok = ok && g.Top[k].ID == w.TopTokens[k] && g.Top[k].Logprob == w.TopLogprobs[k]
		}
		if !ok {
			t.Errorf("%s: token %d: %+v, want %+v", name, i+1, g, *w)
			return
		}
	}
}

// TestPromptLogprobs asks for a prompt's logprobs on an engine that has it in its
// cache, in small steps, beside others, and of one that loses its pages on the way:
// every token is there once, with the bits it has alone.
func TestPromptLogprobs(t *testing.T) {
	driver := alone(t)
	small := limits()
	small.MaxRows, small.MaxTokens = 4, 7
	for name, l := range map[string]abi.Limits{"one step": limits(), "small steps": small} {
		r := start(t, l, nil)
		prompt := r.cats(80)
		want, err := driver.Scored(prompt, 80, 3)
		if err != nil {
			t.Fatal(err)
		}
		req := greedy(prompt)
		req.MaxTokens = 3
		plain := r.ask(req) // its pages are cached now
		scored := *req
		scored.PromptLogprobs = number(3)
		beside := []*engine.Sequence{r.submit(req), r.submit(&scored), r.submit(req), r.submit(&scored)}
		for i, s := range beside {
			a := read(s)
			if a.err != nil || a.text != plain.text || i%2 == 0 && (a.prompt != nil || a.accepted.CachedTokens == 0) {
				t.Errorf("%s: %+v", name, a)
			}
			if i%2 == 1 {
				sameScores(t, name, prompt, a.prompt, want)
				if a.accepted.CachedTokens != 0 {
					t.Errorf("%s: %d tokens were found, not computed", name, a.accepted.CachedTokens)
				}
			}
		}
		// Resumed after its first tokens: they were told by then.
		again := scored
		again.Prompt, again.Resumed = slices.Concat(prompt, plain.ids[:1]), 1
		if a := r.ask(&again); a.err != nil || len(a.prompt) != 0 {
			t.Errorf("%s: a resumed sequence tells %d logprobs again, %v", name, len(a.prompt), a.err)
		}
	}
}

// preempted asks for a long prompt while a shorter one decodes: on three pages, that
// takes the page that the prompt still needs. It gives what the longer request got.
func preempted(t *testing.T, alter func(*engine.Request)) answer {
	t.Helper()
	l := limits()
	l.MaxRows, l.MaxTokens, l.Pages = 2, 5, 3
	b, err := ref.New(l)
	if err != nil {
		t.Fatal(err)
	}
	counted := &counting{Backend: b}
	r := startOn(t, counted, l, func([]byte, int, *abi.Op) {}, nil)
	grows, req := greedy(r.cats(60)), greedy(r.cats(120))
	grows.IgnoreEOS, grows.MaxTokens = true, 40
	alter(req)
	submitted := make(chan *engine.Sequence, 1)
	counted.after(1, func() { submitted <- r.submit(req) }) // the other has its slot
	first := r.submit(grows)
	a := read(<-submitted)
	read(first)
	if st := r.atRest(); st.Preemptions == 0 || st.PagesUsed != 0 || a.err != nil {
		t.Errorf("stats %+v, %v; nothing was preempted", st, a.err)
	}
	return a
}

// TestPromptLogprobsSurvivePreemption tells those of a prompt whose first rows are lost.
func TestPromptLogprobsSurvivePreemption(t *testing.T) {
	var prompt []int32
	a := preempted(t, func(req *engine.Request) {
		req.PromptLogprobs, req.MaxTokens = number(0), 1
		prompt = req.Prompt
	})
	want, err := alone(t).Scored(prompt, 120, 0)
	if err != nil {
		t.Fatal(err)
	}
	sameScores(t, "preempted", prompt, a.prompt, want)
}

// TestPooling asks for vectors in small steps and beside others, found prefixes
// included: that of the last token has the bits it has alone.
func TestPooling(t *testing.T) {
	driver := alone(t)
	l := limits()
	l.MaxRows, l.MaxTokens = 4, 30
	r := start(t, l, nil)
	prompt := r.cats(140)
	last, err1 := driver.Pooled(prompt, 128, false)
	mean, err2 := driver.Pooled(prompt, 128, true)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var seqs []*engine.Sequence
	for _, p := range []engine.Pooling{engine.PoolLast, engine.PoolMean, engine.PoolLast, engine.PoolMean, engine.PoolNone, engine.PoolLast} {
		req := greedy(prompt)
		req.Pool, req.MaxTokens = p, 2
		seqs = append(seqs, r.submit(req))
	}
	for i, s := range seqs {
		a := read(s)
		switch i {
		case 4:
			if a.err != nil || len(a.ids) != 2 || a.vector != nil {
				t.Errorf("the one that generates: %+v", a)
			}
		case 1, 3:
			if a.err != nil || golden.Distance([][]float32{a.vector}, [][]float32{mean}) > 1e-5 || a.accepted.CachedTokens != 0 {
				t.Errorf("mean %d: %v, %v", i, a.vector, a.err)
			}
		default:
			if a.err != nil || !slices.Equal(a.vector, last) {
				t.Errorf("last %d: %v, %v", i, a.vector, a.err)
			}
		}
		if i != 4 && (len(a.ids) > 0 || a.text != "" || a.finished.Reason != engine.FinishStop || a.finished.Generated != 0) {
			t.Errorf("pooled %d: %+v", i, a)
		}
	}
	req := greedy(prompt)
	req.Pool = engine.PoolLast
	if a := r.ask(req); a.accepted.CachedTokens != 128 || !slices.Equal(a.vector, last) {
		t.Errorf("afterwards %d tokens are cached", a.accepted.CachedTokens)
	}
	if st := r.atRest(); st.PagesUsed != 0 || st.Running != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestPoolingSurvivesPreemption adds up a mean anew when its first rows are lost.
func TestPoolingSurvivesPreemption(t *testing.T) {
	var prompt []int32
	a := preempted(t, func(req *engine.Request) {
		req.Pool = engine.PoolMean
		prompt = req.Prompt
	})
	want, err := alone(t).Pooled(prompt, 120, true)
	if err != nil {
		t.Fatal(err)
	}
	if golden.Distance([][]float32{a.vector}, [][]float32{want}) > 1e-5 {
		t.Errorf("%v, want %v", a.vector, want)
	}
}

// TestNoHeadNoVector refuses a vector where none can be had.
func TestNoHeadNoVector(t *testing.T) {
	r := start(t, limits(), func(c *engine.Config) { c.Width = 0 })
	req := greedy(r.cats(3))
	req.Pool = engine.PoolLast
	var bad *engine.InvalidError
	if _, err := r.Submit(req); !errors.As(err, &bad) || bad.Field != "pool" {
		t.Errorf("%v", err)
	}
}
