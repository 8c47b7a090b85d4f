package sched

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// asked gives the entries that a row's flags make a backend report: for each the
// position whose successor was scored.
func asked(w *world, b *Batch, i int) (positions []int) {
	r := b.Step.Rows[i]
	if r.Flags&abi.RowPromptLogprobs == 0 {
		return nil
	}
	n := int(r.Tokens)
	if r.Next < 0 {
		n--
	} else if seq := b.Rows[i].Sequence; r.Next != seq.Tokens[b.Rows[i].End] {
		w.t.Fatalf("row %d: next is %d, the token after it %d", i, r.Next, seq.Tokens[b.Rows[i].End])
	}
	for k := range n {
		positions = append(positions, b.Rows[i].Start+k)
	}
	return positions
}

// TestScoredInSteps scores a prompt over several steps: every token with a next one is
// reported, none found in the cache, and none behind the prompt.
func TestScoredInSteps(t *testing.T) {
	for _, n := range []int{1, 2, 64, 65, 96, 97, 192, 193, 250} {
		w := newWorld(t, limits(), true)
		add(w.s, &Sequence{Tokens: prompt(0, n), Most: n + 2})
		w.drain()
		add(w.s, &Sequence{Tokens: prompt(0, n), Most: n + 5, Score: n})
		var got []int
		for range 20 {
			b := w.plan()
			for i := range b.Rows {
				got = append(got, asked(w, b, i)...)
			}
			w.complete(b)
		}
		want := []int(nil)
		for p := range n - 1 {
			want = append(want, p)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d tokens: positions %v were scored", n, got)
		}
	}
}

// TestPooledSteps pools a prompt over several steps: a sum in each, or the last token's
// vector in the last; nothing is sampled.
func TestPooledSteps(t *testing.T) {
	for flag, want := range map[abi.RowFlag][]abi.RowFlag{
		abi.RowPool:                  {0, 0, abi.RowPool},
		abi.RowPool | abi.RowPoolSum: {abi.RowPool | abi.RowPoolSum, abi.RowPool | abi.RowPoolSum, abi.RowPool | abi.RowPoolSum},
	} {
		w := newWorld(t, limits(), true)
		seq := add(w.s, &Sequence{Tokens: prompt(0, 250), Most: 251, Pool: flag})
		var got []abi.RowFlag
		for range 5 {
			b := w.plan()
			for i := range b.Rows {
				got = append(got, b.Step.Rows[i].Flags)
			}
			w.complete(b)
			if len(got) == 3 && len(b.Rows) == 1 {
				w.s.Prove(b, 0)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("flags %v, want %v", got, want)
		}
		w.s.Remove(seq)
		if again := add(w.s, &Sequence{Tokens: prompt(0, 250), Most: 251, Pool: flag}); true {
			w.plan()
			if found := again.Cached > 0; found != (flag == abi.RowPool) {
				t.Errorf("flags %v: %d positions cached", flag, again.Cached)
			}
		}
	}
}

// TestAdmissionKeepsWhatIsOwed has a sequence that needs its second page with the next
// step: one that waits is not admitted on that page, to lose its slot at once.
func TestAdmissionKeepsWhatIsOwed(t *testing.T) {
	l := limits()
	l.Pages = 2
	w := newWorld(t, l, true)
	first := add(w.s, &Sequence{Tokens: prompt(0, 63), Most: 70})
	w.complete(w.plan())
	second := add(w.s, &Sequence{Tokens: prompt(1000, 10), Most: 20})
	w.drain()
	if w.s.Preemptions() != 0 || !w.ended[first] || !w.ended[second] {
		t.Errorf("%d preemptions, want none", w.s.Preemptions())
	}
}

// TestScoresSurviveRandomWorlds preempts and removes sequences that are scored: whoever
// takes an entry once, in the order of positions, has all of them by the end.
func TestScoresSurviveRandomWorlds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := limits()
		l.Pages = uint32(rapid.IntRange(4, 9).Draw(rt, "pages"))
		l.MaxTokens = uint32(rapid.IntRange(4, 96).Draw(rt, "budget"))
		l.MaxPositions = 64 * l.Pages
		w := newWorld(t, l, true)
		scored, wants := map[*Sequence]int{}, map[*Sequence]int{}
		var flight []*Batch
		take := func() {
			b := flight[0]
			flight = flight[1:]
			for i := range b.Rows {
				seq := b.Rows[i].Sequence
				for _, p := range asked(w, b, i) {
					if p == scored[seq] && p+1 < wants[seq] {
						scored[seq]++
					} else if p > scored[seq] {
						rt.Fatalf("position %d was scored before %d", p, scored[seq])
					}
				}
				if scored[seq]+1 >= wants[seq] {
					seq.Score = 0
				}
			}
			w.complete(b)
		}
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			n := rapid.IntRange(1, 150).Draw(rt, "prompt")
			seq := &Sequence{Priority: int32(rapid.IntRange(0, 2).Draw(rt, "priority")), Tokens: prompt(0, n), Most: n + rapid.IntRange(1, 60).Draw(rt, "more")}
			if w.s.Room(seq.Most) && rapid.Bool().Draw(rt, "add") {
				if rapid.Bool().Draw(rt, "score") {
					seq.Score, wants[seq] = n, n
				}
				add(w.s, seq)
			}
			if b := w.plan(); !b.Empty() {
				flight = append(flight, b)
			}
			if len(flight) == abi.Queue {
				take()
			}
		}
		for i := 0; ; i++ {
			if b := w.plan(); !b.Empty() {
				flight = append(flight, b)
			} else if len(flight) == 0 {
				break
			}
			take()
			if i > 100_000 {
				rt.Fatal("no progress")
			}
		}
		for seq, n := range wants {
			if scored[seq] != n-1 {
				rt.Fatalf("%d of %d tokens were scored", scored[seq], n-1)
			}
		}
	})
}
