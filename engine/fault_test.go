package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
)

// faulty is a real backend with faults put in.
type faulty struct {
	engine.Backend
	seed  uint64      // a slot with this seed is refused, or gives NaN
	nan   bool        // NaN rather than refused
	lost  atomic.Bool // the device is gone
	slots map[uint32]bool
}

// faults starts an engine over a faulty backend.
func faults(t *testing.T, f *faulty) *rig {
	f.slots = map[uint32]bool{}
	return start(t, limits(), func(c *engine.Config) { f.Backend, c.Backend = c.Backend, f })
}

func (f *faulty) OpenSlot(s *abi.Slot) error {
	f.slots[s.Slot] = f.nan && s.Seed == f.seed
	if !f.nan && s.Seed == f.seed && f.seed != 0 {
		return abi.Errorf(abi.Unsupported, "slot_open", "seed = %d", s.Seed)
	}
	return f.Backend.OpenSlot(s)
}

func (f *faulty) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	if f.lost.Load() {
		return abi.Errorf(abi.DeviceLost, "wait", "a cable was pulled")
	}
	err := f.Backend.Wait(seq, r, timeout)
	for i := range r.Rows {
		if row := &r.Rows[i]; err == nil && row.Accepted > 0 && f.slots[row.Slot] {
			row.Status, row.Accepted = abi.RowNaN, 0
		}
	}
	return err
}

// TestFaultsStayTheirOwn has the backend refuse one sequence's slot, or compute NaN
// for it, beside others that go on.
func TestFaultsStayTheirOwn(t *testing.T) {
	for name, f := range map[string]*faulty{"refused": {seed: 7}, "nan": {seed: 7, nan: true}} {
		r := faults(t, f)
		req := greedy(r.chat("Hello!"))
		want := r.ask(req)
		bad := *req
		bad.Seed, bad.Prompt = 7, slices.Repeat(req.Prompt, 140/len(req.Prompt))
		seqs := []*engine.Sequence{r.submit(req), r.submit(&bad), r.submit(req)}
		for i, s := range seqs {
			a := read(s)
			var numeric *engine.NumericError
			if i != 1 && (a.err != nil || a.text != want.text) {
				t.Errorf("%s: a neighbour gives %q, %v", name, a.text, a.err)
			} else if i == 1 && !errors.As(a.err, &numeric) && !errors.Is(a.err, abi.ErrUnsupported) {
				t.Errorf("%s: the faulty one ends with %v", name, a.err)
			}
		}
		// The same tokens without the fault: nothing that was not proven is found.
		bad.Seed = 0
		if a := r.ask(&bad); a.err != nil || a.accepted.CachedTokens != 0 {
			t.Errorf("%s: afterwards %d cached tokens, %v", name, a.accepted.CachedTokens, a.err)
		}
		if st := r.atRest(); st.Failed != 1 || st.PagesUsed != 0 {
			t.Errorf("%s: stats %+v", name, st)
		}
	}
}

// TestRefusedAlone leaves nothing of a step; the one behind it still runs.
func TestRefusedAlone(t *testing.T) {
	r := faults(t, &faulty{seed: 7})
	bad := greedy(r.chat("Hello!"))
	bad.Seed = 7
	for range 3 {
		if a := r.ask(bad); !errors.Is(a.err, abi.ErrUnsupported) {
			t.Errorf("refused: %v", a.err)
		}
	}
	if a := r.ask(greedy(r.chat("Hello!"))); a.err != nil {
		t.Error(a.err)
	}
}

// TestLostBackend ends every open sequence with the backend's error, and Run with it.
func TestLostBackend(t *testing.T) {
	f := &faulty{}
	r := faults(t, f)
	endless := greedy(r.chat("Hello!"))
	endless.IgnoreEOS, endless.MaxTokens = true, 0
	seqs := []*engine.Sequence{r.submit(endless), r.submit(endless)}
	if _, err := seqs[0].Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.lost.Store(true)
	for _, s := range seqs {
		if a := read(s); !errors.Is(a.err, abi.ErrDeviceLost) {
			t.Errorf("an open sequence: %v", a.err)
		}
	}
	if _, err := r.Submit(endless); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("a new request: %v", err)
	}
	err := <-r.done
	if r.done <- err; !errors.Is(err, abi.ErrDeviceLost) {
		t.Errorf("Run: %v", err)
	}
}

// TestPoolBoundsContext refuses what could never run and fills the pool to its end.
func TestPoolBoundsContext(t *testing.T) {
	l := limits()
	l.Pages = 2
	r := start(t, l, nil)
	var bound *engine.ContextError
	if _, err := r.Submit(greedy(make([]int32, 128))); !errors.As(err, &bound) || bound.Context != 128 {
		t.Errorf("a prompt of 128 tokens on two pages: %v", err)
	}
	req := greedy(make([]int32, 127))
	req.MaxTokens = 0
	if a := r.ask(req); a.err != nil || len(a.ids) != 1 {
		t.Errorf("a prompt of 127: %d tokens, %v", len(a.ids), a.err)
	}
}

// TestResume cuts every answer after each token: what was sent by then and what a
// resumed sequence adds make the whole, characters of several tokens included.
func TestResume(t *testing.T) {
	r := start(t, limits(), nil)
	questions, stride := single(), 3
	if testing.Short() {
		questions, stride = questions[len(questions)-6:], 7
	}
	for _, c := range questions {
		req := greedy(r.chat(c.Messages[0].Content))
		whole := r.ask(req)
		for cut := 1; cut < len(whole.ids); cut += stride {
			stream, sent := r.meta.Tokenizer.NewStream(true), ""
			for _, id := range whole.ids[:cut] {
				sent += stream.Push(id)
			}
			again := greedy(slices.Concat(req.Prompt, whole.ids[:cut]))
			again.Resumed = cut
			if a := r.ask(again); sent+a.text != c.Answer {
				t.Errorf("%q resumed after %d tokens: %q + %q", c.Answer, cut, sent, a.text)
			}
		}
	}
}

// TestSlowReader lets a sequence end before it is read: its tokens come as one event.
func TestSlowReader(t *testing.T) {
	r := start(t, limits(), nil)
	s := r.submit(greedy(r.chat("Hello!")))
	r.Drain(context.Background())
	var kinds []string
	for {
		ev, err := s.Next(context.Background())
		if err != nil {
			break
		}
		switch ev := ev.(type) {
		case engine.Accepted:
			kinds = append(kinds, "accepted")
		case engine.Tokens:
			kinds = append(kinds, ev.Text)
		case engine.Finished:
			kinds = append(kinds, "finished")
		}
	}
	if !slices.Equal(kinds, []string{"accepted", "Hello! How can I help you?", "finished"}) {
		t.Errorf("events %q", kinds)
	}
}
