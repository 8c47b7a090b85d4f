package ref_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestPromptLogprobs compares with the log-softmax of transformers' logits, whatever
// the steps that a prompt is fed in, and demands the same bits of each.
func TestPromptLogprobs(t *testing.T) {
	const top = 5
	for _, a := range architectures(t) {
		e, _ := load(t, a.Dir, tinyLimits)
		driver := &golden.Driver{Backend: e}
		whole, err := driver.Scored(a.IDs, 1, top)
		if err != nil || len(whole) != len(a.IDs)-1 {
			t.Fatalf("%s: %d of %d tokens, %v", a.Name, len(whole), len(a.IDs)-1, err)
		}
		for i, got := range whole {
			logits, next := a.Logits[i], a.IDs[i+1]
			if far := math.Abs(float64(got.Logprob) - golden.LogProb(logits, next)); !(far <= 1e-3) {
				t.Errorf("%s, token %d: %v away from transformers'", a.Name, i+1, far)
			}
			if got.Top != top {
				t.Fatalf("%s: %d alternatives", a.Name, got.Top)
			}
			for k := range top {
				if far := math.Abs(float64(got.TopLogprobs[k]) - golden.LogProb(logits, got.TopTokens[k])); !(far <= 1e-3) {
					t.Errorf("%s, token %d: alternative %d is %v away", a.Name, i+1, k, far)
				}
			}
			checkRank(t, got, next)
		}
		for _, chunk := range []int{2, 3, 4} {
			if again, err := driver.Scored(a.IDs, chunk, top); err != nil || !slices.Equal(again, whole) {
				t.Errorf("%s: in steps of %d other bits, %v", a.Name, chunk, err)
			}
		}
	}
}

// checkRank holds a rank to the alternatives.
func checkRank(t *testing.T, got abi.PromptLogprob, token int32) {
	t.Helper()
	at := slices.Index(got.TopTokens[:got.Top], token)
	if at >= 0 && (got.TopLogprobs[at] != got.Logprob || int(got.Rank) > at+1) || at < 0 && got.Rank < got.Top {
		t.Errorf("rank %d of %d among %v", got.Rank, token, got.TopTokens[:got.Top])
	}
}

// TestPooling turns vectors into logits and compares those with transformers': of the
// last token, and on the average.
func TestPooling(t *testing.T) {
	for _, a := range architectures(t) {
		e, m := load(t, a.Dir, tinyLimits)
		head, err := golden.Head(m)
		if err != nil {
			t.Fatal(err)
		}
		driver := &golden.Driver{Backend: e}
		for _, chunk := range []int{1, 3, 4} {
			last, err1 := driver.Pooled(a.IDs, chunk, false)
			mean, err2 := driver.Pooled(a.IDs, chunk, true)
			if err := errors.Join(err1, err2); err != nil || len(last) != m.Plan.PoolWidth() || len(mean) != len(last) {
				t.Fatalf("%s: %d and %d values, %v", a.Name, len(last), len(mean), err)
			}
			pairs := [][2][]float32{{a.Logits[len(a.IDs)-1], golden.Times(head, last)}, {golden.Mean(a.Logits), golden.Times(head, mean)}}
			for i, p := range pairs {
				if far := golden.Distance([][]float32{p[0]}, [][]float32{p[1]}); !(far <= 1e-3) {
					t.Errorf("%s in steps of %d, mean %v: a logit is %v from transformers'", a.Name, chunk, i == 1, far)
				}
			}
		}
	}
}

// TestReportsBesideOthers scores, pools and samples in one step: each has the bits it
// has alone, and Aux and Prompt hold them in row order.
func TestReportsBesideOthers(t *testing.T) {
	e, m := load(t, tiny.Dir(), limits)
	driver := &golden.Driver{Backend: e}
	ids := []int32{70, 71, 72, 73, 74, 75, 76, 77, 78}
	scored, err1 := driver.Scored(ids, 9, 3)
	last, err2 := driver.Pooled(ids, 9, false)
	sum, err3 := driver.Pooled(ids, 9, true)
	logits, err4 := driver.Logits(ids)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	step := &abi.Step{Seq: driver.Seq + 1}
	for i, flags := range []abi.RowFlag{
		abi.RowPool, abi.RowPromptLogprobs | abi.RowSample | abi.RowLogits, abi.RowPool | abi.RowPoolSum, abi.RowPromptLogprobs,
	} {
		slot := abi.Slot{Slot: uint32(i), PromptLen: 9, Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1, PromptTop: 3}}
		if err := e.OpenSlot(&slot); err != nil {
			t.Fatal(err)
		}
		step.Pages = append(step.Pages, abi.PageDelta{Slot: uint32(i), Page: uint32(i)})
		step.Rows = append(step.Rows, abi.Row{Slot: uint32(i), Tokens: 9, Flags: flags, Next: -1})
		step.Tokens = append(step.Tokens, ids...)
	}
	var r abi.Result
	if err := errors.Join(e.Submit(step), e.Wait(step.Seq, &r, time.Minute)); err != nil {
		t.Fatal(err)
	}
	width, vocab := m.Plan.PoolWidth(), int(m.Plan.VocabSize)
	for i := range sum { // the driver gives the mean
		sum[i] *= float32(len(ids))
	}
	if len(r.Aux) != 2*width+vocab || !slices.Equal(r.Aux[:width], last) || !slices.Equal(r.Aux[width:width+vocab], logits[8]) || golden.Distance([][]float32{sum}, [][]float32{r.Aux[width+vocab:]}) > 1e-3 {
		t.Errorf("%d floats of aux, not the vector, the logits and the sum", len(r.Aux))
	}
	if want := append(slices.Clone(scored), scored...); !slices.Equal(r.Prompt, want) {
		t.Errorf("%d entries, not twice the prompt's", len(r.Prompt))
	}
}

// TestRefusedReports names what a row may not ask for.
func TestRefusedReports(t *testing.T) {
	e, _ := load(t, tiny.Dir(), limits)
	open := abi.Slot{Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1, PromptTop: abi.MaxTop + 1}}
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

// split is the tiny model with an embedding of its own beside the head's matrix, which
// it otherwise shares; harm may change the embedding, or the head's operation.
func split(t *testing.T, harm func(embedding []byte, rowBytes int, head *abi.Op)) (*ref.Engine, *model.Model) {
	t.Helper()
	m, err := model.Load(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	e, err := ref.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	plan, tensors, err := golden.Split(m, harm)
	if err != nil {
		t.Fatal(err)
	}
	golden.Fill(t, e, plan, golden.Each(tensors))
	return e, m
}

// TestNotANumber poisons one token's embedding: the row with it, and later rows of its
// slot, report it, whether they sample or not; its neighbours have the bits they have
// alone.
func TestNotANumber(t *testing.T) {
	e, m := split(t, golden.PoisonToken(99))
	driver := &golden.Driver{Backend: e}
	ids := []int32{70, 71, 72, 73}
	alone, err := driver.Logits(ids)
	if err != nil {
		t.Fatal(err)
	}
	bad := []int32{70, 99, 72, 73}
	step := &abi.Step{Seq: driver.Seq + 1, Rows: []abi.Row{
		{Slot: 0, Tokens: 4, Flags: abi.RowSample | abi.RowLogits}, {Slot: 1, Tokens: 4, Flags: abi.RowSample}, {Slot: 2, Tokens: 2},
	}, Tokens: slices.Concat(ids, bad, bad[:2])}
	var r abi.Result
	for i := range 3 {
		step.Pages = append(step.Pages, abi.PageDelta{Slot: uint32(i), Page: uint32(i)})
		if err := e.OpenSlot(&abi.Slot{Slot: uint32(i), PromptLen: 4, Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(e.Submit(step), e.Wait(step.Seq, &r, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if r.Rows[0].Status != abi.RowOK || !slices.Equal(r.Aux[:m.Plan.VocabSize], alone[3]) {
		t.Errorf("the neighbour: status %d, or other bits", r.Rows[0].Status)
	}
	if r.Rows[1].Status != abi.RowNaN || r.Rows[1].Accepted != 0 || r.Rows[2].Status != abi.RowNaN {
		t.Errorf("the poisoned rows: %d, %d", r.Rows[1].Status, r.Rows[2].Status)
	}
	step = &abi.Step{Seq: step.Seq + 1, Rows: []abi.Row{{Slot: 2, Tokens: 2, Flags: abi.RowSample}}, Tokens: bad[2:]}
	if err := errors.Join(e.Submit(step), e.Wait(step.Seq, &r, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if r.Rows[0].Status != abi.RowNaN || r.Rows[0].Accepted != 0 {
		t.Errorf("the row after a poisoned one: %+v", r.Rows[0])
	}
}

// TestInfinity scales the logits beyond what float32 holds.
func TestInfinity(t *testing.T) {
	e, _ := split(t, func(_ []byte, _ int, head *abi.Op) { head.Scale = math.MaxFloat32 })
	var r abi.Result
	if err := e.OpenSlot(&abi.Slot{PromptLen: 1, Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1}}); err != nil {
		t.Fatal(err)
	}
	step := &abi.Step{Seq: 1, Rows: []abi.Row{{Tokens: 1, Flags: abi.RowSample}}, Tokens: []int32{70}, Pages: []abi.PageDelta{{}}}
	if err := errors.Join(e.Submit(step), e.Wait(1, &r, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if r.Rows[0].Status != abi.RowNaN {
		t.Errorf("sampled %d from infinite logits", r.Rows[0].Tokens[0])
	}
}
