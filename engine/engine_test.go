package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// single gives the questions that are one message long.
func single() (list []tiny.Chat) {
	for _, c := range tiny.Ask().Chats {
		if len(c.Messages) == 1 && len(c.Answer) < 200 {
			list = append(list, c)
		}
	}
	return list
}

// TestKnownAnswers asks the tiny model what it was taught, conversations included.
func TestKnownAnswers(t *testing.T) {
	r := start(t, limits(), nil)
	for _, c := range tiny.Ask().Chats {
		req := greedy(r.conversation(c.Messages))
		if testing.Short() && len(c.Answer) > 60 {
			continue
		}
		req.MaxTokens = min(400, int(limits().MaxPositions)-len(req.Prompt))
		a := r.ask(req)
		if a.err != nil || a.text != c.Answer || a.finished.Reason != engine.FinishStop {
			t.Errorf("%q: %q (%v, %v), want %q", c.Messages, a.text, a.finished.Reason, a.err, c.Answer)
		}
		if a.finished.Generated != len(a.ids) || a.finished.Prompt != a.accepted.PromptTokens {
			t.Errorf("counts %+v of %d tokens", a.finished, len(a.ids))
		}
	}
}

// mixed are sixteen requests of many kinds: greedy and drawn, long and short, with
// penalties, logprobs and shared beginnings.
func mixed(r *rig) (list []*engine.Request) {
	long := r.meta.Tokenizer.Encode(strings.Repeat("Where is the cat? ", 40), encodePlain)
	count, tokens := 16, 20
	if testing.Short() { // the race detector makes the reference backend very slow
		count, tokens = 6, 5
	}
	for i, c := range single()[:count] {
		req := greedy(r.chat(c.Messages[0].Content))
		req.Seed, req.MaxTokens, req.Sampling.Logprobs = uint64(i), tokens+i, true
		if i%3 == 1 {
			req.Prompt = append(slices.Clone(long[:20*i]), req.Prompt...)
		}
		if i%2 == 1 {
			req.IgnoreEOS = true
		}
		list = append(list, req)
	}
	return list
}

// TestTogetherAsAlone runs requests alone and then all at once, on an engine that
// keeps prefixes and on one with too few pages: the bits are the same.
func TestTogetherAsAlone(t *testing.T) {
	alone := start(t, limits(), func(c *engine.Config) { c.NoPrefixCache = true })
	var want []answer
	for _, req := range mixed(alone) {
		want = append(want, alone.ask(req))
	}
	tight := limits()
	tight.Pages = 9 // one sequence of full length and a little
	for name, r := range map[string]*rig{
		"roomy":       start(t, limits(), nil),
		"no prefixes": start(t, limits(), func(c *engine.Config) { c.NoPrefixCache = true }),
		"few pages":   start(t, tight, nil),
	} {
		rounds := 2 // the second time, prefixes are there
		if testing.Short() {
			rounds = 1
		}
		for round := range rounds {
			var seqs []*engine.Sequence
			for _, req := range mixed(r) {
				seqs = append(seqs, r.submit(req))
			}
			for i, s := range seqs {
				got := read(s)
				if got.err != nil || !slices.Equal(got.ids, want[i].ids) || !slices.Equal(got.logprobs, want[i].logprobs) || got.text != want[i].text {
					t.Errorf("%s, round %d, request %d: %q (%v), alone %q", name, round, i, got.text, got.err, want[i].text)
				}
			}
		}
		if st := r.atRest(); name == "roomy" && rounds > 1 && st.CachedTokens == 0 {
			t.Error("no prefix was found")
		}
	}
}

// TestPrefixes sends a prompt twice, and once under another salt.
func TestPrefixes(t *testing.T) {
	r := start(t, limits(), nil)
	prompt := r.meta.Tokenizer.Encode(strings.Repeat("Where is the cat? ", 40), encodePlain)[:130]
	ask := func(salt string) answer {
		req := greedy(prompt)
		req.Salt, req.MaxTokens = []byte(salt), 5
		return r.ask(req)
	}
	first, second, other := ask("a"), ask("a"), ask("b")
	if first.accepted.CachedTokens != 0 || second.accepted.CachedTokens != 128 || other.accepted.CachedTokens != 0 {
		t.Errorf("cached %d, %d, under another salt %d; want 0, 128, 0", first.accepted.CachedTokens, second.accepted.CachedTokens, other.accepted.CachedTokens)
	}
	if first.text != second.text || first.text != other.text {
		t.Errorf("texts differ: %q, %q, %q", first.text, second.text, other.text)
	}
}

func TestStops(t *testing.T) {
	r := start(t, limits(), nil)
	c := single()[1]
	prompt := r.chat(c.Messages[0].Content)
	whole := r.ask(greedy(prompt))
	middle := c.Answer[len(c.Answer)/2 : len(c.Answer)/2+4]
	before, _, _ := strings.Cut(c.Answer, middle)
	for name, s := range map[string]struct {
		change func(*engine.Request)
		text   string
		reason engine.FinishReason
	}{
		"string":           {func(q *engine.Request) { q.Stop = []string{"never", middle} }, before, engine.FinishStop},
		"string, included": {func(q *engine.Request) { q.Stop, q.IncludeStop = []string{middle}, true }, before + middle, engine.FinishStop},
		"token":            {func(q *engine.Request) { q.StopTokens = whole.ids[2:3] }, r.decode(whole.ids[:2]), engine.FinishStop},
		"max_tokens":       {func(q *engine.Request) { q.MaxTokens = 3 }, r.decode(whole.ids[:3]), engine.FinishLength},
		"one token":        {func(q *engine.Request) { q.MaxTokens = 1 }, r.decode(whole.ids[:1]), engine.FinishLength},
		"end of text":      {func(*engine.Request) {}, c.Answer, engine.FinishStop},
	} {
		req := greedy(prompt)
		s.change(req)
		a := r.ask(req)
		if a.err != nil || a.text != s.text || a.finished.Reason != s.reason {
			t.Errorf("%s: %q, %s, %v; want %q, %s", name, a.text, a.finished.Reason, a.err, s.text, s.reason)
		}
		if a.finished.Generated != len(a.ids) {
			t.Errorf("%s: %d generated, %d ids", name, a.finished.Generated, len(a.ids))
		}
	}
	req := greedy(prompt)
	req.MinTokens, req.MaxTokens = len(whole.ids)+3, len(whole.ids)+8
	if a := r.ask(req); len(a.ids) < req.MinTokens {
		t.Errorf("min_tokens %d: %d tokens", req.MinTokens, len(a.ids))
	}
}

func (r *rig) decode(ids []int32) string { return r.meta.Tokenizer.Decode(ids, decodePlain) }

// TestContextEnd runs into the context's end.
func TestContextEnd(t *testing.T) {
	l := limits()
	l.MaxPositions = 100
	r := start(t, l, nil)
	req := greedy(r.chat("Hello!"))
	req.MaxTokens, req.IgnoreEOS = 0, true
	a := r.ask(req)
	if n := len(req.Prompt) + len(a.ids); a.err != nil || n != 100 || a.finished.Reason != engine.FinishLength {
		t.Errorf("%d tokens in all, %s, %v; want 100 and length", n, a.finished.Reason, a.err)
	}
}

func TestBadRequests(t *testing.T) {
	r := start(t, limits(), nil)
	ok := r.chat("Hello!")
	long := make([]int32, 600)
	for name, c := range map[string]struct {
		change func(*engine.Request)
		says   []string
	}{
		"empty prompt":    {func(q *engine.Request) { q.Prompt = nil }, []string{"prompt"}},
		"prompt too long": {func(q *engine.Request) { q.Prompt = long }, []string{"600", "512"}},
		"too many tokens": {func(q *engine.Request) { q.MaxTokens = 511 }, []string{"max_tokens", "511", "512"}},
		"negative":        {func(q *engine.Request) { q.MaxTokens = -1 }, []string{"max_tokens", "-1"}},
		"min over max":    {func(q *engine.Request) { q.MinTokens = 65 }, []string{"min_tokens", "65", "64"}},
		"unknown token":   {func(q *engine.Request) { q.Prompt = []int32{99999} }, []string{"prompt", "99999", "511"}},
		"negative token":  {func(q *engine.Request) { q.Prompt = []int32{-1} }, []string{"prompt", "-1"}},
		"bias token":      {func(q *engine.Request) { q.Biases = []abi.Bias{{Token: 512}} }, []string{"biases", "512"}},
		"bias":            {func(q *engine.Request) { q.Biases = []abi.Bias{{Bias: 101}} }, []string{"biases", "101", "100"}},
		"stop token":      {func(q *engine.Request) { q.StopTokens = []int32{-7} }, []string{"stop_tokens", "-7"}},
		"stop tokens":     {func(q *engine.Request) { q.StopTokens = make([]int32, 129) }, []string{"stop_tokens", "129", "128"}},
		"empty stop":      {func(q *engine.Request) { q.Stop = []string{""} }, []string{"stop", "256"}},
		"many stops":      {func(q *engine.Request) { q.Stop = make([]string, 17) }, []string{"stop", "17", "16"}},
		"temperature":     {func(q *engine.Request) { q.Sampling.Temperature = 3 }, []string{"temperature", "3", "2"}},
		"prompt_logprobs": {func(q *engine.Request) { q.PromptLogprobs = number(21) }, []string{"prompt_logprobs", "21", "20"}},
		"negative count":  {func(q *engine.Request) { q.PromptLogprobs = number(-1) }, []string{"prompt_logprobs", "-1"}},
		"pool":            {func(q *engine.Request) { q.Pool = 3 }, []string{"pool", "3", "mean"}},
		"pool and score":  {func(q *engine.Request) { q.Pool, q.PromptLogprobs = engine.PoolMean, number(1) }, []string{"prompt_logprobs", "vector"}},
		"resumed":         {func(q *engine.Request) { q.Resumed = len(ok) }, []string{"resumed"}},
	} {
		req := greedy(ok)
		c.change(req)
		_, err := r.Submit(req)
		var invalid *engine.InvalidError
		var context *engine.ContextError
		if !errors.As(err, &invalid) && !errors.As(err, &context) {
			t.Errorf("%s: %v, want a refusal by field", name, err)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
	}
}

// TestCancel gives up a sequence: its slot is free for one that waits.
func TestCancel(t *testing.T) {
	l := limits()
	l.MaxSlots, l.MaxRows = 1, 1
	r := start(t, l, nil)
	endless := greedy(r.chat("Hello!"))
	endless.IgnoreEOS, endless.MaxTokens = true, 0
	first := r.submit(endless)
	waiting := r.submit(endless)
	next := r.submit(greedy(r.chat("Hello!")))
	if _, err := first.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	waiting.Cancel()
	first.Cancel()
	first.Cancel()
	if a := read(next); a.err != nil || a.finished.Reason != engine.FinishStop {
		t.Errorf("the one that waited: %+v", a)
	}
	for name, s := range map[string]*engine.Sequence{"running": first, "waiting": waiting} {
		if a := read(s); a.err != nil || a.finished.Reason != engine.FinishCancelled {
			t.Errorf("%s: %v, %v; want cancelled", name, a.finished.Reason, a.err)
		}
	}
	if st := r.atRest(); st.Cancelled != 2 || st.Running != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestDeadline(t *testing.T) {
	r := start(t, limits(), nil)
	req := greedy(r.chat("Hello!"))
	req.Deadline = time.Now().Add(-time.Second)
	if a := r.ask(req); a.finished.Reason != engine.FinishCancelled || len(a.ids) != 0 {
		t.Errorf("a request past its deadline: %+v", a)
	}
}

// TestBusy fills slots and queue.
func TestBusy(t *testing.T) {
	l := limits()
	l.MaxSlots, l.MaxRows = 1, 1
	r := start(t, l, func(c *engine.Config) { c.Queue = 1 })
	req := greedy(r.chat("Hello!"))
	req.IgnoreEOS, req.MaxTokens = true, 0
	a, b := r.submit(req), r.submit(req)
	var busy *engine.BusyError
	if _, err := r.Submit(req); !errors.As(err, &busy) || busy.RetryAfter <= 0 {
		t.Errorf("a third request: %v, want busy with a time to come back", err)
	}
	a.Cancel()
	b.Cancel()
	read(a)
	read(b)
	if got := r.ask(greedy(r.chat("Hello!"))); got.err != nil {
		t.Errorf("afterwards: %v", got.err)
	}
}

// TestDrain lets running sequences end, takes nothing new and, when its time is over,
// cancels.
func TestDrain(t *testing.T) {
	r := start(t, limits(), nil)
	s := r.submit(greedy(r.chat("Hello!")))
	finished, cancelled, err := r.Drain(context.Background())
	if err != nil || finished != 1 || cancelled != 0 {
		t.Errorf("drain: %d, %d, %v; want 1 finished", finished, cancelled, err)
	}
	if a := read(s); a.text == "" {
		t.Error("the sequence that ran was cut")
	}
	if _, err := r.Submit(greedy(r.chat("Hello!"))); !errors.Is(err, engine.ErrDraining) {
		t.Errorf("a new request: %v", err)
	}
	r = start(t, limits(), nil)
	endless := greedy(r.chat("Hello!"))
	endless.IgnoreEOS, endless.MaxTokens = true, 0
	s = r.submit(endless)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, cancelled, _ := r.Drain(over); cancelled != 1 {
		t.Errorf("%d cancelled, want 1", cancelled)
	}
	read(s)
}

// TestStopped ends the loop with sequences open.
func TestStopped(t *testing.T) {
	r := start(t, limits(), nil)
	endless := greedy(r.chat("Hello!"))
	endless.IgnoreEOS, endless.MaxTokens = true, 0
	s := r.submit(endless)
	r.stop()
	if a := read(s); !errors.Is(a.err, engine.ErrStopped) {
		t.Errorf("an open sequence: %v", a.err)
	}
	if _, err := s.Next(context.Background()); err != io.EOF {
		t.Errorf("after its error: %v, want EOF", err)
	}
	if _, err := r.Submit(endless); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("a new request: %v", err)
	}
}

// TestManyAtOnce submits and cancels from many goroutines; every sequence ends once.
func TestManyAtOnce(t *testing.T) {
	r := start(t, limits(), nil)
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			req := greedy(r.chat(single()[i%16].Messages[0].Content))
			s, err := r.Submit(req)
			if err != nil {
				t.Error(err)
				return
			}
			if i%5 == 0 {
				s.Cancel()
			}
			if a := read(s); a.err != nil || a.finished.Reason == "" {
				t.Errorf("request %d: %+v", i, a)
			}
		})
	}
	wg.Wait()
	st := r.atRest()
	if st.Finished+st.Cancelled != 48 || st.Running != 0 || st.Waiting != 0 {
		t.Errorf("stats %+v", st)
	}
	if fmt.Sprint(st.PagesUsed) != "0" {
		t.Errorf("%d pages are still held", st.PagesUsed)
	}
}
