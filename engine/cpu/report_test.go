package cpu_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// oracle is the reference backend with the model at path.
func oracle(t *testing.T, path string) *ref.Engine {
	t.Helper()
	e, _ := golden.Filled(t, path, limits, "ref", ref.New)
	return e
}

// reports are what a backend says of one prompt.
type reports struct {
	scores     []abi.PromptLogprob
	last, mean []float32
}

const alternatives = 6

// reportsOf feeds a prompt in steps of at most chunk tokens.
func reportsOf(t *testing.T, b golden.Backend, seq uint64, ids []int32, chunk int) (r reports, last uint64) {
	t.Helper()
	d := &golden.Driver{Backend: b, Seq: seq}
	var err1, err2, err3 error
	r.scores, err1 = d.Scored(ids, chunk, alternatives)
	r.last, err2 = d.Pooled(ids, chunk, false)
	r.mean, err3 = d.Pooled(ids, chunk, true)
	if err := errors.Join(err1, err2, err3); err != nil || len(r.scores) != len(ids)-1 {
		t.Fatalf("%d scores, %v", len(r.scores), err)
	}
	return r, d.Seq
}

// TestReportsAreTheOracles holds prompt logprobs and vectors to the reference
// backend's, and demands the same bits of a prompt in any steps; a prompt of more
// tokens than the tail takes rows is cut into tiles. The sums of steps are rounded
// each, so that a mean may differ in its last bits.
func TestReportsAreTheOracles(t *testing.T) {
	for _, path := range []string{tiny.Dir(), tiny.GGUF()} {
		ids := prompt(60, tiny.Vocab, 3)
		want, _ := reportsOf(t, oracle(t, path), 0, ids, 60)
		for _, isa := range isas(t) {
			l := limits
			l.ISA = isa
			e, _ := load(t, path, l)
			whole, seq := reportsOf(t, e, 0, ids, 60)
			t.Run(isa, func(t *testing.T) { near(t, whole, want, ids) })
			for _, chunk := range []int{1, 7, 32} {
				var again reports
				again, seq = reportsOf(t, e, seq, ids, chunk)
				if !slices.Equal(again.scores, whole.scores) || !slices.Equal(again.last, whole.last) ||
					golden.Distance([][]float32{again.mean}, [][]float32{whole.mean}) > 1e-5 {
					t.Errorf("%s %s: other bits in steps of %d", path, isa, chunk)
				}
			}
		}
	}
}

// near compares what two backends report, and ranks with alternatives.
func near(t *testing.T, got, want reports, ids []int32) {
	for i, s := range got.scores {
		if far := math.Abs(float64(s.Logprob - want.scores[i].Logprob)); !(far <= 0.03) {
			t.Errorf("token %d: %v away", i+1, far)
		}
		if at := slices.Index(s.TopTokens[:s.Top], ids[i+1]); at >= 0 && int(s.Rank) > at+1 || at < 0 && s.Rank < s.Top || s.Top != alternatives {
			t.Errorf("token %d: rank %d, place %d of %d", i+1, s.Rank, at, s.Top)
		}
	}
	if last, mean := golden.Cosine(got.last, want.last), golden.Cosine(got.mean, want.mean); last < 0.9999 || mean < 0.9999 {
		t.Errorf("cosines %v and %v", last, mean)
	}
}

// TestScoresOfTransformers compares with the log-softmax of transformers' logits.
func TestScoresOfTransformers(t *testing.T) {
	set, err := golden.Load(golden.Tiny)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := load(t, tiny.Dir(), limits)
	driver, far := &golden.Driver{Backend: e}, 0.0
	for _, p := range set.Prompts {
		scores, err := driver.Scored(p.IDs, 50, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range scores {
			far = max(far, math.Abs(float64(s.Logprob)-golden.LogProb(p.Logits[i], p.IDs[i+1])))
		}
	}
	t.Logf("at most %.3g away", far)
	if !(far <= 0.05) { // the logits are kept in float16, K and V too
		t.Errorf("a logprob is %v from transformers'", far)
	}
}

// TestReportsBesideOthers scores, pools and samples in one step: each has the bits it
// has alone, and Aux and Prompt hold them in row order.
func TestReportsBesideOthers(t *testing.T) {
	e, m := load(t, tiny.GGUF(), limits)
	driver, ids := &golden.Driver{Backend: e}, prompt(40, 512, 4)
	scored, err1 := driver.Scored(ids, 40, 3)
	last, err2 := driver.Pooled(ids, 40, false)
	logits, err3 := driver.Logits(ids)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	s := &stepper{t: t, e: e, seq: driver.Seq}
	step := &abi.Step{}
	for i, flags := range []abi.RowFlag{
		abi.RowPool, abi.RowPromptLogprobs | abi.RowSample | abi.RowLogits, abi.RowPool | abi.RowPoolSum, abi.RowPromptLogprobs,
	} {
		spec := abi.Slot{Slot: uint32(i), Sampling: plain}
		spec.Sampling.PromptTop = 3
		step.Pages = append(step.Pages, s.open(spec, []uint32{uint32(9 - i)}).Pages...)
		step.Rows = append(step.Rows, abi.Row{Slot: uint32(i), Tokens: 40, Flags: flags, Next: -1})
		step.Tokens = append(step.Tokens, ids...)
	}
	r, width, vocab := s.step(step), m.Plan.PoolWidth(), int(m.Plan.VocabSize)
	if len(r.Aux) != 2*width+vocab || !slices.Equal(r.Aux[:width], last) || !slices.Equal(r.Aux[width:width+vocab], logits[39]) {
		t.Errorf("%d floats of aux, not the vector, the logits and the sum", len(r.Aux))
	}
	if want := append(slices.Clone(scored), scored...); !slices.Equal(r.Prompt, want) {
		t.Errorf("%d entries, not twice the prompt's", len(r.Prompt))
	}
}

// TestRefusedReports names what a row may not ask for.
func TestRefusedReports(t *testing.T) {
	e, _ := load(t, tiny.GGUF(), limits)
	open := abi.Slot{Sampling: plain}
	open.Sampling.PromptTop = abi.MaxTop + 1
	if err := e.OpenSlot(&open); !errors.Is(err, abi.ErrInvalid) {
		t.Errorf("21 alternatives: %v", err)
	}
	open.Sampling.PromptTop = 0
	if err := e.OpenSlot(&open); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]abi.Row{
		"next beyond the vocabulary": {Flags: abi.RowPromptLogprobs, Next: tiny.Vocab},
		"next below -1":              {Flags: abi.RowPromptLogprobs, Next: -2},
		"a sum of nothing":           {Flags: abi.RowPoolSum},
		"pooling and sampling":       {Flags: abi.RowPool | abi.RowSample},
	} {
		row.Tokens = 1
		err := e.Submit(&abi.Step{Seq: 1, Rows: []abi.Row{row}, Tokens: []int32{1}, Pages: []abi.PageDelta{{}}})
		if !errors.Is(err, abi.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// harmed is the tiny model, harmed.
func harmed(t *testing.T, isa string, harm golden.Harm) *cpu.Backend {
	t.Helper()
	m, err := model.Load(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	l := limits
	l.ISA = isa
	e, err := cpu.New(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	plan, tensors, err := golden.Split(m, harm)
	if err != nil {
		t.Fatal(err)
	}
	golden.Fill(t, e, plan, golden.Each(tensors))
	return e
}

// TestNotANumber poisons one token's embedding: the row with it, and later rows of its
// slot, report it, whether they sample or not; its neighbours have the bits they have
// alone.
func TestNotANumber(t *testing.T) {
	for _, isa := range isas(t) {
		e := harmed(t, isa, golden.PoisonToken(99))
		driver := &golden.Driver{Backend: e}
		ids, bad := []int32{70, 71, 72, 73}, []int32{70, 99, 72, 73}
		alone, err := driver.Logits(ids)
		if err != nil {
			t.Fatal(err)
		}
		s, step := &stepper{t: t, e: e, seq: driver.Seq}, &abi.Step{Tokens: slices.Concat(ids, bad, bad[:2])}
		for i := range uint32(3) {
			step.Pages = append(step.Pages, s.open(abi.Slot{Slot: i, Sampling: plain}, []uint32{i}).Pages...)
		}
		step.Rows = []abi.Row{{Slot: 0, Tokens: 4, Flags: abi.RowSample | abi.RowLogits}, {Slot: 1, Tokens: 4, Flags: abi.RowSample}, {Slot: 2, Tokens: 2}}
		r := s.step(step)
		if r.Rows[0].Status != abi.RowOK || !slices.Equal(r.Aux, alone[3]) {
			t.Errorf("%s: the neighbour: status %d, or other bits", isa, r.Rows[0].Status)
		}
		if r.Rows[1].Status != abi.RowNaN || r.Rows[1].Accepted != 0 || r.Rows[2].Status != abi.RowNaN {
			t.Errorf("%s: the poisoned rows: %d, %d", isa, r.Rows[1].Status, r.Rows[2].Status)
		}
		r = s.step(&abi.Step{Rows: []abi.Row{{Slot: 2, Tokens: 2, Flags: abi.RowSample}}, Tokens: bad[2:]})
		if r.Rows[0].Status != abi.RowNaN || r.Rows[0].Accepted != 0 {
			t.Errorf("%s: the row after a poisoned one: %+v", isa, r.Rows[0])
		}
	}
}

// TestInfinity scales the logits beyond what float32 holds.
func TestInfinity(t *testing.T) {
	for _, isa := range isas(t) {
		e := harmed(t, isa, func(_ []byte, _ int, head *abi.Op) { head.Scale = math.MaxFloat32 })
		s := &stepper{t: t, e: e}
		step := s.open(abi.Slot{Sampling: plain}, []uint32{0})
		step.Rows, step.Tokens = []abi.Row{{Tokens: 1, Flags: abi.RowSample}}, []int32{70}
		if r := s.step(step); r.Rows[0].Status != abi.RowNaN {
			t.Errorf("%s: sampled %d from infinite logits", isa, r.Rows[0].Tokens[0])
		}
	}
}
