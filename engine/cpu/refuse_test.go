package cpu_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestRefusesAttributes demands that what is not honoured is named.
func TestRefusesAttributes(t *testing.T) {
	m, err := model.Load(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for name, change := range map[string]func(*abi.Op){
		"bidirectional":      func(o *abi.Op) { o.Bidirectional = true },
		"n_experts":          func(o *abi.Op) { o.Experts = 4 },
		"position_embedding": func(o *abi.Op) { o.PositionEmbedding = 1 },
		"head_kind":          func(o *abi.Op) { o.HeadKind = 1 },
		"kind":               func(o *abi.Op) { o.Kind = abi.OpMoE },
	} {
		e, err := cpu.New(limits)
		if err != nil {
			t.Fatal(err)
		}
		p := m.Plan
		p.Ops = slices.Clone(p.Ops)
		change(&p.Ops[2])
		if err := e.Plan(&p); !errors.Is(err, abi.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		e.Close()
	}
}

// TestRefusesLimits demands that create names what it cannot give.
func TestRefusesLimits(t *testing.T) {
	for name, change := range map[string]func(*abi.Limits){
		"isa":       func(l *abi.Limits) { l.ISA = "sse9" },
		"kv_dtype":  func(l *abi.Limits) { l.KVDType = abi.BF16 },
		"quant":     func(l *abi.Limits) { l.Quant = abi.QuantFP8 },
		"max_slots": func(l *abi.Limits) { l.MaxSlots = 0 },
	} {
		l := limits
		change(&l)
		if _, err := cpu.New(l); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusedStep demands that a refused step changes nothing: the good one that
// follows gives the bits it gives without it.
func TestRefusedStep(t *testing.T) {
	e, m := load(t, tiny.GGUF(), limits)
	s := &stepper{t: t, e: e}
	ids := prompt(20, m.Plan.VocabSize, 5)
	want := s.logits(ids, 256, 0, []uint32{4})
	for name, bad := range map[string]*abi.Step{
		"token":      {Rows: []abi.Row{{Tokens: 1}}, Tokens: []int32{1 << 20}, Pages: []abi.PageDelta{{Page: 9}}},
		"not open":   {Rows: []abi.Row{{Slot: 3, Tokens: 1}}, Tokens: []int32{1}, Pages: []abi.PageDelta{{Page: 9}}},
		"left over":  {Rows: []abi.Row{{Tokens: 1}}, Tokens: []int32{1, 2}, Pages: []abi.PageDelta{{Page: 9}}},
		"continue":   {Rows: []abi.Row{{Tokens: 1, Flags: abi.RowContinue}}, Pages: []abi.PageDelta{{Page: 9}}},
		"closed":     {Closes: []uint32{0}, Rows: []abi.Row{{Tokens: 1}}, Tokens: []int32{1}},
		"twice":      {Rows: []abi.Row{{Tokens: 1}, {Tokens: 1}}, Tokens: []int32{1, 2}, Pages: []abi.PageDelta{{Page: 9}}},
		"draft":      {Rows: []abi.Row{{Tokens: 1, Draft: 1}}, Tokens: []int32{1}},
		"host copy":  {Copies: []abi.PageCopy{{Kind: abi.CopyD2H}}},
		"page bound": {Pages: []abi.PageDelta{{Page: limits.Pages}}},
	} {
		step := s.open(abi.Slot{Sampling: plain}, []uint32{4})
		bad.Seq = s.seq + 1
		if err := e.Submit(bad); err == nil {
			t.Fatalf("%s: accepted", name)
		}
		step.Rows, step.Tokens = []abi.Row{{Tokens: 20, Flags: abi.RowSample | abi.RowLogits}}, ids
		if got := s.step(step).Aux; !slices.Equal(got, want) {
			t.Errorf("%s: the step after it has other bits", name)
		}
		e.CloseSlot(0)
	}
}
