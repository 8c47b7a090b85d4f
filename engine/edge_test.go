package engine_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// poisonous is a token whose embedding is NaN in these tests.
const poisonous = 300

// TestPoisonedTokens sends prompts with a token that makes every state NaN, and has one
// sampled in the middle of an answer: such a request fails alone, its neighbours have
// the bits they have without it, and no page of its own is ever found.
func TestPoisonedTokens(t *testing.T) {
	l := limits()
	l.MaxTokens = 70 // a prompt takes several steps
	for name, build := range map[string]func() (engine.Backend, error){
		"ref": func() (engine.Backend, error) { return ref.New(l) },
		"cpu": func() (engine.Backend, error) { return cpu.New(l) },
	} {
		b, err := build()
		if err != nil {
			t.Fatal(err)
		}
		r := startOn(t, b, l, golden.PoisonToken(poisonous), nil)
		good := greedy(slices.Concat(r.cats(20), r.chat("Hello!")))
		good.Sampling.Logprobs, good.MaxTokens, good.Biases = true, 12, []abi.Bias{{Token: poisonous, Bias: -100}}
		want := r.ask(good)
		prefill, decode := *good, *good
		prefill.Prompt = slices.Clone(r.cats(200))
		prefill.Prompt[70] = poisonous
		decode.Prompt, decode.Biases = r.cats(60), []abi.Bias{{Token: poisonous, Bias: 100}}
		decode.MinTokens, decode.IgnoreEOS = 0, true
		seqs := []*engine.Sequence{r.submit(good), r.submit(&prefill), r.submit(good), r.submit(&decode), r.submit(good)}
		for i, s := range seqs {
			a := read(s)
			var numeric *engine.NumericError
			switch {
			case i%2 == 1 && !errors.As(a.err, &numeric):
				t.Errorf("%s: poisoned request %d ends with %v, %v", name, i, a.finished, a.err)
			case i == 3 && (len(a.ids) != 1 || a.ids[0] != poisonous):
				t.Errorf("%s: tokens %v before the failure, want the poisonous one", name, a.ids)
			case i%2 == 0 && (a.err != nil || a.text != want.text || !slices.Equal(a.logprobs, want.logprobs)):
				t.Errorf("%s: a neighbour: %q, %v; alone %q", name, a.text, a.err, want.text)
			}
		}
		if a := r.ask(&prefill); a.err == nil || a.accepted.CachedTokens != 0 {
			t.Errorf("%s: the poisoned prompt again: %d tokens are cached, %v", name, a.accepted.CachedTokens, a.err)
		}
		for _, p := range []engine.Pooling{engine.PoolLast, engine.PoolMean} {
			vector := prefill
			vector.Pool = p
			if a := r.ask(&vector); a.err == nil || a.vector != nil {
				t.Errorf("%s: a vector of the poisoned prompt: %v", name, a.vector)
			}
		}
		scored := prefill
		scored.PromptLogprobs = number(0)
		if a := r.ask(&scored); a.err == nil {
			t.Errorf("%s: logprobs of the poisoned prompt: %v", name, a.prompt)
		}
		if st := r.atRest(); st.PagesUsed != 0 || st.Running != 0 || st.Failed != 6 {
			t.Errorf("%s: stats %+v", name, st)
		}
	}
}

// blind is a backend that does not look at the states of its rows.
type blind struct{ engine.Backend }

func (b blind) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	err := b.Backend.Wait(seq, r, timeout)
	for i := range r.Rows {
		r.Rows[i].Status = abi.RowOK
	}
	return err
}

// TestReportsThatAreNoNumbers has a backend report NaN as it finds it: neither a vector
// nor a logprob of it is passed on.
func TestReportsThatAreNoNumbers(t *testing.T) {
	b, err := ref.New(limits())
	if err != nil {
		t.Fatal(err)
	}
	r := startOn(t, b, limits(), golden.PoisonToken(poisonous), func(c *engine.Config) { c.Backend = blind{c.Backend} })
	for name, ask := range map[string]func(*engine.Request){
		"last": func(q *engine.Request) { q.Pool = engine.PoolLast }, "mean": func(q *engine.Request) { q.Pool = engine.PoolMean },
		"prompt": func(q *engine.Request) { q.PromptLogprobs = number(2) },
	} {
		req := greedy(append(r.cats(5), poisonous, 70))
		ask(req)
		var numeric *engine.NumericError
		if a := r.ask(req); !errors.As(a.err, &numeric) || a.vector != nil || a.prompt != nil {
			t.Errorf("%s: %v, %v, %v", name, a.vector, a.prompt, a.err)
		}
	}
}

// TestInfiniteLogits scales logits beyond float32: no token is emitted.
func TestInfiniteLogits(t *testing.T) {
	b, err := ref.New(limits())
	if err != nil {
		t.Fatal(err)
	}
	r := startOn(t, b, limits(), func(_ []byte, _ int, head *abi.Op) { head.Scale = math.MaxFloat32 }, nil)
	var numeric *engine.NumericError
	if a := r.ask(greedy(r.chat("Hello!"))); !errors.As(a.err, &numeric) || len(a.ids) != 0 {
		t.Errorf("%v, %v", a.ids, a.err)
	}
}

// drawn are requests that use every sampling parameter at once, each with its own seed.
func drawn(r *rig) (list []*engine.Request) {
	for i := range 6 {
		req := greedy(r.cats(50 + 9*i))
		p := &req.Sampling
		p.Temperature, p.TopK, p.TopP, p.MinP, p.TypicalP = 1.2, 60, 0.95, 0.01, 0.97
		p.Repetition, p.Presence, p.Frequency, p.Logprobs = 1.1, 0.4, 0.2, true
		req.Seed, req.Choice, req.MaxTokens, req.MinTokens = uint64(1000+i), uint32(i%2), 36, 9
		req.Biases = []abi.Bias{{Token: int32(60 + i), Bias: 3}, {Token: 70, Bias: -50}}
		req.StopTokens = []int32{80, 81} // beside the model's own
		list = append(list, req)
	}
	return list
}

// stepByStep runs a request on a backend with nothing beside it and no step in flight
// while the next is planned: what sampling state is when nothing is asynchronous.
func stepByStep(t *testing.T, d *golden.Driver, q *engine.Request, eos []int32) (ids []int32) {
	t.Helper()
	n := uint32(len(q.Prompt))
	slot := abi.Slot{PromptLen: n, MinPosition: n + uint32(q.MinTokens), EOS: append(slices.Clone(eos), q.StopTokens...), Biases: q.Biases, Sampling: q.Sampling, Seed: q.Seed, Choice: q.Choice}
	if err := d.Backend.OpenSlot(&slot); err != nil {
		t.Fatal(err)
	}
	step := &abi.Step{Rows: []abi.Row{{Tokens: n, Flags: abi.RowSample}}, Tokens: q.Prompt}
	for page := range uint32(3) {
		step.Pages = append(step.Pages, abi.PageDelta{Index: page, Page: page})
	}
	for {
		d.Seq++
		step.Seq = d.Seq
		var result abi.Result
		if err := errors.Join(d.Backend.Submit(step), d.Backend.Wait(d.Seq, &result, time.Minute)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, result.Rows[0].Tokens[0])
		if len(ids) == q.MaxTokens || len(ids) > q.MinTokens && slices.Contains(slot.EOS, ids[len(ids)-1]) {
			break
		}
		step = &abi.Step{Rows: []abi.Row{{Tokens: 1, Flags: abi.RowSample | abi.RowContinue}}}
	}
	if err := d.Backend.CloseSlot(0); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestSamplingIsItsOwn draws with every parameter at once, all requests together, while
// steps overlap and on so few pages that sequences lose them: the tokens are those of
// each request alone, step by step.
func TestSamplingIsItsOwn(t *testing.T) {
	few := limits()
	few.Pages, few.MaxTokens = 4, 40
	driver := alone(t)
	var want [][]int32
	for name, l := range map[string]abi.Limits{"roomy": limits(), "few pages": few} {
		r := start(t, l, nil)
		var seqs []*engine.Sequence
		for _, req := range drawn(r) {
			seqs = append(seqs, r.submit(req))
		}
		for i, s := range seqs {
			if len(want) <= i {
				want = append(want, stepByStep(t, driver, drawn(r)[i], r.meta.EOS))
			}
			if a := read(s); a.err != nil || !slices.Equal(a.ids, want[i]) {
				t.Errorf("%s, request %d: %v (%v), alone %v", name, i, a.ids, a.err, want[i])
			}
		}
		if st := r.atRest(); name == "few pages" && st.Preemptions == 0 || st.PagesUsed != 0 {
			t.Errorf("%s: stats %+v", name, st)
		}
	}
}

// TestSeedsDiffer draws the same prompt under several seeds and choices.
func TestSeedsDiffer(t *testing.T) {
	r := start(t, limits(), nil)
	texts := map[string]bool{}
	for i := range 6 {
		req := greedy(r.cats(20))
		req.Sampling.Temperature, req.MaxTokens, req.Seed, req.Choice, req.IgnoreEOS = 2, 12, uint64(i/2), uint32(i%2), true
		texts[r.ask(req).text] = true
	}
	if len(texts) != 6 {
		t.Errorf("six seeds and choices gave %d texts", len(texts))
	}
}

// TestManyEnds ends at whichever of the model's own end tokens comes, and at no
// one of them, nor at a stop token, before min_tokens.
func TestManyEnds(t *testing.T) {
	r := start(t, limits(), nil)
	whole := r.ask(greedy(r.chat("Hello!")))
	last := len(whole.ids) - 1
	for _, end := range []int{1, 3, last} {
		r := start(t, limits(), func(c *engine.Config) { c.EOS = append([]int32{whole.ids[end]}, c.EOS...) })
		if a := r.ask(greedy(r.chat("Hello!"))); a.err != nil || len(a.ids) != slices.Index(whole.ids, whole.ids[end])+1 || !a.finished.HasStopToken {
			t.Errorf("end %d: %d tokens, %+v, %v", end, len(a.ids), a.finished, a.err)
		}
		req := greedy(r.chat("Hello!"))
		req.MinTokens, req.StopTokens = last+2, whole.ids[:1]
		a := r.ask(req)
		for i, id := range a.ids[:min(len(a.ids), req.MinTokens)] {
			if id == whole.ids[end] || id == whole.ids[0] || slices.Contains(r.meta.EOS, id) {
				t.Errorf("end %d: token %d is %d, an end before min_tokens", end, i, id)
			}
		}
		if len(a.ids) < req.MinTokens {
			t.Errorf("end %d: %d tokens, at least %d were due", end, len(a.ids), req.MinTokens)
		}
	}
}

// TestResumedStops resumes a request with min_tokens and stop strings after every token:
// it ends where the whole one does, with the same text.
func TestResumedStops(t *testing.T) {
	r := start(t, limits(), nil)
	req := greedy(r.chat("Hello!"))
	req.Stop, req.MinTokens = []string{"ell", " I ", "u?"}, 4
	whole := r.ask(req)
	if whole.finished.Reason != engine.FinishStop || whole.finished.StopString == "" || len(whole.ids) <= req.MinTokens {
		t.Fatalf("the whole: %+v", whole)
	}
	for cut := 1; cut <= len(whole.ids); cut++ {
		again := *req
		again.Prompt, again.Resumed, again.MaxTokens = slices.Concat(req.Prompt, whole.ids[:cut]), cut, req.MaxTokens-cut
		a := r.ask(&again)
		if a.err != nil || !strings.HasSuffix(whole.text, a.text) || !slices.Equal(whole.ids[cut:], a.ids) ||
			a.finished.Reason != engine.FinishStop || a.finished.StopString != whole.finished.StopString {
			t.Errorf("resumed after %d of %d tokens: %q, %v, %+v, %v; whole %q", cut, len(whole.ids), a.text, a.ids, a.finished, a.err, whole.text)
		}
	}
}

// TestResumedEnd counts min_tokens from the first prompt: where the end may come after a
// resumption, it does.
func TestResumedEnd(t *testing.T) {
	r := start(t, limits(), nil)
	req := greedy(r.chat("Hello!"))
	whole := r.ask(req)
	req.MinTokens = len(whole.ids) - 1
	for cut := range len(whole.ids) {
		again := *req
		again.Prompt, again.Resumed = slices.Concat(req.Prompt, whole.ids[:cut]), cut
		if a := r.ask(&again); a.err != nil || !slices.Equal(a.ids, whole.ids[cut:]) {
			t.Errorf("resumed after %d tokens: %v, %v; whole %v", cut, a.ids, a.err, whole.ids)
		}
	}
}

// counting does something within a step that is counted from now.
type counting struct {
	engine.Backend
	mu    sync.Mutex
	steps int
	then  func()
}

func (c *counting) after(steps int, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps, c.then = steps, then
}

func (c *counting) Wait(seq uint64, r *abi.Result, patience time.Duration) error {
	err := c.Backend.Wait(seq, r, patience)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps--; c.steps == 0 {
		c.then()
	}
	return err
}

// TestCancelAtEachPhase gives a sequence up while it waits, in the second step of its
// prompt, while it decodes, and before it is read: nothing is left behind.
func TestCancelAtEachPhase(t *testing.T) {
	l := limits()
	l.MaxSlots, l.MaxRows, l.MaxTokens = 2, 2, 8
	b, err := ref.New(l)
	if err != nil {
		t.Fatal(err)
	}
	counted := &counting{Backend: b}
	r := startOn(t, counted, l, func([]byte, int, *abi.Op) {}, nil)
	for after := range 12 {
		endless, beside := greedy(r.cats(40)), greedy(r.cats(30))
		endless.IgnoreEOS, endless.MaxTokens = true, 0
		submitted := make(chan *engine.Sequence, 1)
		counted.after(after+1, func() { (<-submitted).Cancel() })
		other, s, waits := r.submit(beside), r.submit(endless), r.submit(endless)
		waits.Cancel()
		submitted <- s
		if a := read(s); a.err != nil || a.finished.Reason != engine.FinishCancelled {
			t.Errorf("after %d steps: %+v, %v", after, a.finished, a.err)
		}
		if a := read(waits); a.finished.Reason != engine.FinishCancelled {
			t.Errorf("the one that waits: %+v", a.finished)
		}
		if a := read(other); a.err != nil || a.finished.Reason == engine.FinishCancelled {
			t.Errorf("its neighbour: %+v, %v", a.finished, a.err)
		}
	}
	if a := r.ask(greedy(r.chat("Hello!"))); a.err != nil {
		t.Error(a.err)
	}
	if st := r.atRest(); st.PagesUsed != 0 || st.Running != 0 || st.Waiting != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestPageBorders runs prompts of a page's length and one more or less, with and without
// a cache that has them, and full hits.
func TestPageBorders(t *testing.T) {
	cached, plain := start(t, limits(), nil), start(t, limits(), func(c *engine.Config) { c.NoPrefixCache = true })
	for _, n := range []int{63, 64, 65, 127, 128, 129} {
		req := greedy(cached.cats(n))
		req.MaxTokens, req.Sampling.Logprobs, req.IgnoreEOS = 3, true, true
		want := plain.ask(req)
		for round := range 2 {
			a := cached.ask(req)
			if a.err != nil || !slices.Equal(a.ids, want.ids) || !slices.Equal(a.logprobs, want.logprobs) {
				t.Errorf("%d tokens, round %d: %v, %v; without a cache %v", n, round, a.ids, a.err, want.ids)
			}
			if most := (n - 1) / abi.PageLen * abi.PageLen; round == 1 && a.accepted.CachedTokens != most {
				t.Errorf("%d tokens: %d cached, want %d", n, a.accepted.CachedTokens, most)
			}
		}
	}
}
