package cpu_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestLateMask holds a step until its mask comes, and samples within it.
func TestLateMask(t *testing.T) {
	e, m := load(t, tiny.GGUF(), limits)
	s := &stepper{t: t, e: e}
	step := s.open(abi.Slot{Sampling: plain}, []uint32{0})
	step.Seq, step.Tokens = 1, []int32{5, 6}
	step.Rows = []abi.Row{{Tokens: 2, Flags: abi.RowSample | abi.RowLateMask}}
	if err := e.Submit(step); err != nil {
		t.Fatal(err)
	}
	if err := e.Wait(1, &s.result, 20*time.Millisecond); !errors.Is(err, abi.ErrTimeout) {
		t.Fatalf("without its mask the step ends: %v", err)
	}
	mask := make([]uint32, (m.Plan.VocabSize+31)/32)
	mask[3] = 1 << 9
	if err := e.DefineMask(4, mask); err != nil {
		t.Fatal(err)
	}
	if err := e.Sample(1, []abi.RowMask{{Row: 0, MaskID: 4}}); err != nil {
		t.Fatal(err)
	}
	if err := e.DropMask(4); err != nil { // the step keeps it
		t.Fatal(err)
	}
	if err := e.Wait(1, &s.result, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := s.result.Rows[0]; got.Accepted != 1 || got.Tokens[0] != 3*32+9 {
		t.Errorf("sampled %d (status %d), the mask allows %d alone", got.Tokens[0], got.Status, 3*32+9)
	}
}
