package cpu_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// stepper submits steps and waits for each.
type stepper struct {
	t      *testing.T
	e      *cpu.Backend
	seq    uint64
	result abi.Result
}

func (s *stepper) step(step *abi.Step) *abi.Result {
	s.t.Helper()
	s.seq++
	step.Seq = s.seq
	if err := s.e.Submit(step); err != nil {
		s.t.Fatal(err)
	}
	if err := s.e.Wait(s.seq, &s.result, time.Minute); err != nil {
		s.t.Fatal(err)
	}
	return &s.result
}

// open opens a slot with its pages, each slot's own or in falling order.
func (s *stepper) open(spec abi.Slot, pages []uint32) *abi.Step {
	s.t.Helper()
	if err := s.e.OpenSlot(&spec); err != nil {
		s.t.Fatal(err)
	}
	step := &abi.Step{}
	for i, p := range pages {
		step.Pages = append(step.Pages, abi.PageDelta{Slot: spec.Slot, Index: uint32(i), Page: p})
	}
	return step
}

var plain = abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1}

// prompt of n pseudo-random tokens.
func prompt(n int, vocab uint32, seed uint64) []int32 {
	r, out := rand.New(rand.NewPCG(seed, 1)), make([]int32, n)
	for i := range out {
		out[i] = int32(r.IntN(int(vocab)))
	}
	return out
}

// TestRowInvariance demands one row's bits alone, in chunks, beside 15 others, on
// other pages and with another thread count: of float weights and of every other type,
// these on the best instruction set but for the mixture.
func TestRowInvariance(t *testing.T) {
	for _, path := range []string{tiny.Dir(), tiny.GGUF()} {
		invariant(t, path, isas(t), func(l abi.Limits) (*cpu.Backend, uint32) {
			e, m := load(t, path, l)
			return e, m.Plan.VocabSize
		})
	}
	for name, c := range recipes() {
		m, tensors := decoder(c)
		on := isas(t)
		if name != "mixed" {
			on = on[len(on)-1:]
		}
		invariant(t, name, on, func(l abi.Limits) (*cpu.Backend, uint32) {
			return loadTensors(t, m, tensors, l), m.Plan.VocabSize
		})
	}
}

func invariant(t *testing.T, name string, isas []string, load func(abi.Limits) (*cpu.Backend, uint32)) {
	t.Helper()
	for _, isa := range isas {
		var want []float32
		for _, threads := range []uint32{1, 2} {
			l := limits
			l.ISA, l.Threads = isa, threads
			e, vocab := load(l)
			ids := prompt(100, vocab, 3)
			s := &stepper{t: t, e: e}
			for _, c := range []struct {
				chunk, others int
				pages         []uint32
			}{{256, 0, []uint32{0, 1}}, {1, 0, []uint32{5, 2}}, {7, 0, []uint32{1, 0}}, {64, 0, []uint32{9, 40}}, {7, 15, []uint32{63, 62}}} {
				got := s.logits(ids, c.chunk, c.others, c.pages)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s %s: threads %d, chunks of %d beside %d on pages %v: other bits", name, isa, threads, c.chunk, c.others, c.pages)
				}
			}
		}
	}
}

// logits of the last of ids, fed in chunks beside rows of other slots.
func (s *stepper) logits(ids []int32, chunk, others int, pages []uint32) []float32 {
	first := s.open(abi.Slot{Slot: 0, Sampling: plain}, pages)
	for o := range others {
		more := s.open(abi.Slot{Slot: uint32(o + 1), Sampling: plain}, []uint32{uint32(o * 2), uint32(o*2 + 1)})
		first.Pages = append(first.Pages, more.Pages...)
	}
	for at := 0; at < len(ids); at += chunk {
		step := &abi.Step{}
		if at == 0 {
			step = first
		}
		end := min(at+chunk, len(ids))
		row := abi.Row{Tokens: uint32(end - at)}
		if end == len(ids) {
			row.Flags = abi.RowSample | abi.RowLogits
		}
		for o := range others {
			n := o%3 + 1
			step.Rows = append(step.Rows, abi.Row{Slot: uint32(o + 1), Tokens: uint32(n), Flags: abi.RowSample})
			for i := range n {
				step.Tokens = append(step.Tokens, int32((at*7+o*13+i)%300))
			}
		}
		step.Rows = append(step.Rows, row)
		step.Tokens = append(step.Tokens, ids[at:end]...)
		s.step(step)
	}
	out := slices.Clone(s.result.Aux)
	for o := range others + 1 {
		if err := s.e.CloseSlot(uint32(o)); err != nil {
			s.t.Fatal(err)
		}
	}
	return out
}

// TestSamplingIsGos runs random parameters and compares every token, logprob and
// alternative with what engine/sample makes of the same logits.
func TestSamplingIsGos(t *testing.T) {
	e, m := load(t, tiny.GGUF(), limits)
	s, r, vocab := &stepper{t: t, e: e}, rand.New(rand.NewPCG(11, 12)), m.Plan.VocabSize
	for range 400 {
		spec := abi.Slot{PromptLen: 5, Seed: r.Uint64(), Choice: r.Uint32N(4), MinPosition: r.Uint32N(9), EOS: m.EOS, Sampling: sample.Defaults()}
		p := &spec.Sampling
		p.Temperature = []float32{0, 0.5, 1, 2}[r.IntN(4)]
		p.TopK, p.TopP = []uint32{0, 1, 5, 40}[r.IntN(4)], []float32{1, 0.9, 0.3}[r.IntN(3)]
		p.MinP, p.TypicalP = []float32{0, 0.05, 0.5}[r.IntN(3)], []float32{1, 0.9, 0.2}[r.IntN(3)]
		p.Repetition, p.Presence, p.Frequency = []float32{1, 1.3, 0.7}[r.IntN(3)], []float32{0, 0.5, -1}[r.IntN(3)], []float32{0, 0.3}[r.IntN(2)]
		p.Logprobs, p.TopLogprobs = true, r.Uint32N(abi.MaxTop+1)
		if r.IntN(2) == 0 {
			spec.Biases = []abi.Bias{{Token: int32(r.Uint32N(vocab)), Bias: 9}, {Token: int32(r.Uint32N(vocab)), Bias: -9}}
		}
		var mask []uint32
		if r.IntN(2) == 0 {
			mask = make([]uint32, (vocab+31)/32)
			for i := range mask {
				mask[i] = r.Uint32()
			}
			if err := e.DefineMask(7, mask); err != nil {
				t.Fatal(err)
			}
		}
		history := prompt(5, vocab, r.Uint64())
		step := s.open(spec, []uint32{3})
		step.Tokens = history
		row := abi.Row{Tokens: 5, Flags: abi.RowSample | abi.RowLogits}
		for range 6 {
			if mask != nil {
				row.MaskID = 7
			}
			step.Rows = []abi.Row{row}
			got := s.step(step).Rows[0]
			choice := &sample.Row{Logits: s.result.Aux, History: history, Prompt: 5, Mask: mask, Slot: &spec}
			want, ok := sample.Choose(choice)
			if !ok || got.Accepted != 1 || got.Tokens[0] != want {
				t.Fatalf("%+v: %d (status %d), Go chooses %d, %v", *p, got.Tokens[0], got.Status, want, ok)
			}
			if diff := got.Logprobs[0] - sample.Logprob(s.result.Aux, want); diff > 1e-5 || diff < -1e-5 {
				t.Fatalf("logprob off by %g", diff)
			}
			if tops, _ := sample.Top(s.result.Aux, int(p.TopLogprobs)); !slices.Equal(got.TopTokens[:got.Top], tops) {
				t.Fatalf("alternatives %v, Go's %v", got.TopTokens[:got.Top], tops)
			}
			history = append(slices.Clone(history), want)
			step, row = &abi.Step{}, abi.Row{Tokens: 1, Flags: abi.RowSample | abi.RowLogits | abi.RowContinue}
		}
		e.CloseSlot(0)
	}
}
