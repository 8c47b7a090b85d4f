package sched

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/kv"
)

func limits() abi.Limits {
	return abi.Limits{MaxSlots: 4, MaxRows: 4, MaxTokens: 96, MaxPositions: 512, Pages: 16}
}

func prompt(from, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(from + i)
	}
	return out
}

// world runs a scheduler against a model of a backend: it owns each slot's length and
// remembers what every page holds.
type world struct {
	t      testing.TB
	s      *Scheduler
	flight []*Batch
	slots  map[uint32]*slot
	pages  map[uint32][]int32 // tokens by page, as written
	ended  map[*Sequence]bool
}

// slot is what the backend knows of an open slot.
type slot struct {
	length int
	pages  []uint32
	last   int32 // sampled
}

func newWorld(t testing.TB, l abi.Limits, prefixes bool) *world {
	return &world{t: t, s: New(l, prefixes), slots: map[uint32]*slot{}, pages: map[uint32][]int32{}, ended: map[*Sequence]bool{}}
}

// next is the token that the model samples after a sequence of tokens: it depends on
// all of them, so that a wrong page shows.
func next(tokens []int32) int32 {
	h := int32(17)
	for _, t := range tokens {
		h = h*31 + t
	}
	return h & 0xffff
}

// plan plans a step and runs it as a backend would, in order.
func (w *world) plan() *Batch {
	b := &Batch{}
	w.s.Plan(b)
	for _, seq := range b.Opens {
		if w.slots[seq.Slot] != nil && !slices.Contains(b.Step.Closes, seq.Slot) {
			w.t.Fatalf("slot %d is opened twice", seq.Slot)
		}
	}
	for _, c := range b.Step.Closes {
		if w.slots[c] == nil {
			w.t.Fatalf("slot %d is closed and was not open", c)
		}
		delete(w.slots, c)
	}
	for _, seq := range b.Opens {
		w.slots[seq.Slot] = &slot{length: seq.Start()}
	}
	for _, d := range b.Step.Pages {
		s := w.slots[d.Slot]
		if s == nil || int(d.Index) != len(s.pages) {
			w.t.Fatalf("page %d at index %d of slot %d", d.Page, d.Index, d.Slot)
		}
		s.pages = append(s.pages, d.Page)
	}
	w.run(b)
	w.check()
	return b
}

// run computes a step's rows.
func (w *world) run(b *Batch) {
	l := w.s.limits
	if len(b.Step.Rows) > int(l.MaxRows) || len(b.Step.Rows) != len(b.Rows) {
		w.t.Fatalf("%d rows of %d", len(b.Step.Rows), l.MaxRows)
	}
	left, total := b.Step.Tokens, 0
	for i, r := range b.Step.Rows {
		s := w.slots[r.Slot]
		if r.Flags&abi.RowContinue != 0 {
			w.write(s, s.last)
		}
		for _, token := range left[:r.Explicit()] {
			w.write(s, token)
		}
		left = left[r.Explicit():]
		total += int(r.Tokens)
		if s.length != b.Rows[i].End {
			w.t.Fatalf("row %d ends at %d, the slot is %d long", i, b.Rows[i].End, s.length)
		}
		if r.Flags&abi.RowSample != 0 {
			s.last = next(w.history(s))
		}
		b.Step.Rows[i].MaskID = uint32(s.last) // where complete finds it
	}
	if len(left) > 0 || total > int(l.MaxTokens) {
		w.t.Fatalf("%d tokens in a step of %d, %d belong to no row", total, l.MaxTokens, len(left))
	}
}

func (w *world) write(s *slot, token int32) {
	page := s.pages[s.length/abi.PageLen]
	w.pages[page] = append(w.pages[page][:s.length%abi.PageLen:s.length%abi.PageLen], token)
	s.length++
}

// history is all tokens of a slot, from its pages.
func (w *world) history(s *slot) (all []int32) {
	for i, page := range s.pages {
		n := min(abi.PageLen, s.length-i*abi.PageLen)
		all = append(all, w.pages[page][:n]...)
	}
	return all
}

// complete takes in a batch's results.
func (w *world) complete(b *Batch) {
	for i, r := range b.Rows {
		if !w.s.Complete(b, i, int32(b.Step.Rows[i].MaskID), r.Sample) {
			continue
		}
		seq := r.Sequence
		if r.Sample {
			if n := len(seq.Tokens); seq.Tokens[n-1] != next(seq.Tokens[:n-1]) {
				w.t.Fatalf("token %d of a sequence is wrong: it saw other tokens than its own", n-1)
			}
		}
		if len(seq.Tokens) >= seq.Most {
			w.s.Remove(seq)
			w.ended[seq] = true
		}
	}
	w.check()
}

func (w *world) check() {
	for _, err := range w.s.Check() {
		w.t.Error(err)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// step plans one batch and completes the oldest, with one always in flight.
func (w *world) step() (idle bool) {
	b := w.plan()
	if !b.Empty() {
		w.flight = append(w.flight, b)
	}
	if len(w.flight) == 0 {
		return true
	}
	if len(w.flight) == abi.Queue || b.Empty() {
		w.complete(w.flight[0])
		w.flight = w.flight[1:]
	}
	return false
}

func (w *world) drain() {
	for i := 0; !w.step(); i++ {
		if i > 100_000 {
			w.t.Fatal("no progress")
		}
	}
}

func add(s *Scheduler, seq *Sequence) *Sequence {
	seq.Root = kv.Root([]byte{byte(len(seq.Root))})
	s.Add(seq)
	return seq
}

// TestLongPromptSharesSteps puts a long prompt beside a short one that runs: the short
// one gets its token in every step, the long one takes several.
func TestLongPromptSharesSteps(t *testing.T) {
	w := newWorld(t, limits(), true)
	short := add(w.s, &Sequence{Tokens: prompt(0, 3), Most: 40})
	w.complete(w.plan())
	long := add(w.s, &Sequence{Tokens: prompt(1000, 250), Most: 251})
	var shares []uint32
	for range 3 {
		b := w.plan()
		if b.Rows[0].Sequence != short || !b.Rows[0].Sample || b.Rows[1].Sequence != long {
			t.Fatalf("rows %+v", b.Rows)
		}
		shares = append(shares, b.Step.Rows[1].Tokens)
		w.complete(b)
	}
	if want := []uint32{95, 95, 60}; !slices.Equal(shares, want) {
		t.Errorf("the long prompt went in by %v, want %v", shares, want)
	}
}

// TestPromptsDoNotStallDecodes puts a long prompt of a higher priority before two
// sequences that decode: both get a token in every step.
func TestPromptsDoNotStallDecodes(t *testing.T) {
	w := newWorld(t, limits(), true)
	for i := range 2 {
		add(w.s, &Sequence{Priority: 1, Tokens: prompt(100*i, 3), Most: 60})
	}
	w.complete(w.plan())
	long := add(w.s, &Sequence{Tokens: prompt(1000, 300), Most: 301})
	w.complete(w.plan()) // it is admitted behind the rows of those that run
	b := w.plan()
	if len(b.Rows) != 3 || b.Rows[0].Sequence != long || b.Step.Rows[0].Tokens != 94 || !b.Rows[1].Sample || !b.Rows[2].Sample {
		t.Errorf("rows %+v, want 94 tokens of the prompt and one of each other", b.Step.Rows)
	}
	w.complete(b)
}

// TestOrder runs what has priority, then what came first.
func TestOrder(t *testing.T) {
	l := limits()
	l.MaxSlots, l.MaxRows = 1, 1
	w := newWorld(t, l, true)
	var order []int32
	for i, p := range []int32{1, 0, 1, 0} {
		add(w.s, &Sequence{Priority: p, Tokens: []int32{int32(i)}, Most: 2})
	}
	for w.s.Waiting() > 0 {
		b := w.plan()
		for _, r := range b.Rows {
			order = append(order, r.Sequence.Tokens[0])
		}
		w.complete(b)
	}
	if want := []int32{1, 3, 0, 2}; !slices.Equal(order, want) {
		t.Errorf("served %v, want %v", order, want)
	}
}

// TestPreemption lets two sequences grow into a pool that holds one of them.
func TestPreemption(t *testing.T) {
	l := limits()
	l.Pages = 4
	w := newWorld(t, l, true)
	first := add(w.s, &Sequence{Tokens: prompt(0, 60), Most: 250})
	second := add(w.s, &Sequence{Tokens: prompt(5000, 60), Most: 250})
	w.drain()
	if !w.ended[first] || !w.ended[second] || w.s.Preemptions() == 0 {
		t.Errorf("ended %v and %v, %d preemptions", w.ended[first], w.ended[second], w.s.Preemptions())
	}
	if w.s.Pool().Used() != 0 {
		t.Errorf("%d pages are held by nobody", w.s.Pool().Used())
	}
}

// TestPrefixIsFound sends the same prompt twice.
func TestPrefixIsFound(t *testing.T) {
	for _, prefixes := range []bool{true, false} {
		w := newWorld(t, limits(), prefixes)
		add(w.s, &Sequence{Tokens: prompt(0, 128), Most: 130})
		w.drain()
		again := add(w.s, &Sequence{Tokens: prompt(0, 128), Most: 130})
		w.drain()
		want := 0
		if prefixes {
			want = 64 // the second page holds the last token, which is computed in any case
		}
		if again.Cached != want {
			t.Errorf("prefixes %v: %d positions cached, want %d", prefixes, again.Cached, want)
		}
	}
}

func TestBacklogAndRoom(t *testing.T) {
	s := New(limits(), true)
	add(s, &Sequence{Tokens: prompt(0, 100), Most: 130})
	add(s, &Sequence{Tokens: prompt(0, 50), Most: 130})
	if s.Backlog() != 150 {
		t.Errorf("backlog %d, want 150", s.Backlog())
	}
	s.Plan(&Batch{})
	// The first has four tokens left and one that is not known yet; the second all.
	if got := s.Backlog(); got != 4+50 {
		t.Errorf("backlog %d after a step of 96, want 54", got)
	}
	if !s.Room(512) || s.Room(513) {
		t.Error("room for 512 positions, not for 513")
	}
}

// TestRandomWorlds adds and removes sequences at random times; whatever happens, every
// sequence gets the tokens that its own history gives.
func TestRandomWorlds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := limits()
		l.Pages = uint32(rapid.IntRange(4, 16).Draw(rt, "pages"))
		l.MaxTokens = uint32(rapid.IntRange(4, 96).Draw(rt, "budget"))
		l.MaxPositions = 64 * l.Pages
		w := newWorld(t, l, rapid.Bool().Draw(rt, "prefixes"))
		var live []*Sequence
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			switch rapid.IntRange(0, 3).Draw(rt, "event") {
			case 0:
				n := rapid.IntRange(1, 200).Draw(rt, "prompt")
				most := n + rapid.IntRange(1, 60).Draw(rt, "more")
				seq := &Sequence{
					Priority: int32(rapid.IntRange(0, 2).Draw(rt, "priority")),
					Tokens:   prompt(rapid.IntRange(0, 1).Draw(rt, "kind"), n), Most: most,
				}
				if w.s.Room(most) {
					live = append(live, add(w.s, seq))
				}
			case 1:
				if len(live) > 0 {
					i := rapid.IntRange(0, len(live)-1).Draw(rt, "victim")
					w.s.Remove(live[i])
					w.ended[live[i]] = true
				}
			default:
				w.step()
			}
		}
		w.drain()
		for i, seq := range live {
			if !w.ended[seq] {
				rt.Fatalf("sequence %d never ended: %d of %d tokens", i, len(seq.Tokens), seq.Most)
			}
		}
		if used := w.s.Pool().Used(); used != 0 {
			rt.Fatalf("%d pages are held by nobody", used)
		}
	})
}

// TestCheckNamesWhatIsBroken breaks a scheduler on purpose.
func TestCheckNamesWhatIsBroken(t *testing.T) {
	for name, harm := range map[string]func(*Scheduler){
		"a slot twice":       func(s *Scheduler) { s.free = append(s.free, s.running[0].Slot) },
		"a lost slot":        func(s *Scheduler) { s.free = s.free[1:] },
		"too few pages":      func(s *Scheduler) { s.running[0].pages = nil },
		"a wrong order":      func(s *Scheduler) { slices.Reverse(s.running) },
		"a wrong state":      func(s *Scheduler) { s.queue.First().state = running },
		"a page held by two": func(s *Scheduler) { s.running[1].pages = s.running[0].pages },
	} {
		l := limits()
		l.MaxRows = 2
		w := newWorld(t, l, true)
		for i := range 6 {
			add(w.s, &Sequence{Tokens: prompt(100*i, 3), Most: 9})
		}
		w.plan()
		harm(w.s)
		if len(w.s.Check()) == 0 {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}

// TestRefuse takes an opened sequence out of a planned step: the rest is as if it had
// never been there.
func TestRefuse(t *testing.T) {
	w := newWorld(t, limits(), true)
	b := &Batch{}
	var seqs []*Sequence
	for i := range 3 {
		seqs = append(seqs, add(w.s, &Sequence{Tokens: prompt(100*i, 10), Most: 20}))
	}
	w.s.Plan(b)
	w.s.Refuse(b, seqs[1])
	if want := slices.Concat(prompt(0, 10), prompt(200, 10)); !slices.Equal(b.Step.Tokens, want) || len(b.Step.Pages) != 2 {
		t.Errorf("the step has tokens %v and pages %v", b.Step.Tokens, b.Step.Pages)
	}
	if len(b.Rows) != 2 || len(b.Step.Rows) != 2 || b.Rows[0].Sequence != seqs[0] || b.Rows[1].Sequence != seqs[2] {
		t.Errorf("the step has rows %+v", b.Rows)
	}
	for _, err := range w.s.Check() {
		t.Error(err)
	}
	if seqs[1].Running() || w.s.Running() != 2 || w.s.Pool().Used() != 2 {
		t.Errorf("%d run on %d pages", w.s.Running(), w.s.Pool().Used())
	}
}
