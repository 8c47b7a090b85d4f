package cpu_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestScalesOfAnySize multiplies all scales of the layers by a power of two that binary16
// has no room for, and takes it from the norms before them: the logits must stay.
func TestScalesOfAnySize(t *testing.T) {
	all, err := golden.FP8()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Name != "channel" {
			continue
		}
		for _, by := range []float32{1, 0x1p20, 0x1p-20} {
			e, err := cpu.New(limits)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			m, err := model.Load(a.Dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			changed := golden.Altered(m.Tensors(), func(tensor *abi.Tensor) {
				scaled := slices.Contains([]string{"blk.0.qkv", "blk.0.gate_up"}, tensor.Name) && tensor.Component == abi.ComponentScale
				norm := strings.HasSuffix(tensor.Name, "attn_norm") || strings.HasSuffix(tensor.Name, "ffn_norm")
				if scaled {
					tensor.Data = times(tensor.Data, by)
				} else if norm {
					tensor.Data = times(tensor.Data, 1/by)
				}
			})
			takes(t, golden.Fill(t, e, &m.Plan, changed), &m.Meta, limits)
			logits, err := (&golden.Driver{Backend: e}).Logits(a.IDs)
			if err != nil {
				t.Fatal(err)
			}
			far := golden.Distance(a.Logits, logits)
			t.Logf("scales times %v: at most %.2g away", by, far)
			if !(far < 0.3) {
				t.Errorf("scales times %v: a logit is %v from float64's", by, far)
			}
		}
	}
}

// times multiplies bfloat16 with a power of two.
func times(data []byte, by float32) []byte {
	out := make([]byte, len(data))
	for i := 0; i < len(data); i += 2 {
		v := math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[i:])) << 16)
		binary.LittleEndian.PutUint16(out[i:], uint16(math.Float32bits(v*by)>>16))
	}
	return out
}

// TestScalesAreDue demands that scales come once, fit, and are not forgotten.
func TestScalesAreDue(t *testing.T) {
	all, err := golden.FP8()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(all[0].Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for what, c := range map[string]struct {
		change func(*abi.Tensor) []*abi.Tensor
		code   error
	}{
		"scales come once": {func(s *abi.Tensor) []*abi.Tensor { return []*abi.Tensor{s, s} }, abi.ErrInvalid},
		"were not put":     {func(*abi.Tensor) []*abi.Tensor { return nil }, abi.ErrInvalid},
		"2 x 1 scales":     {func(s *abi.Tensor) []*abi.Tensor { s.Rows, s.Cols = 2, 1; return []*abi.Tensor{s} }, abi.ErrInvalid},
		"need":             {func(s *abi.Tensor) []*abi.Tensor { s.Data = s.Data[2:]; return []*abi.Tensor{s} }, abi.ErrInvalid},
		"only f32":         {func(s *abi.Tensor) []*abi.Tensor { s.DType = abi.F16; return []*abi.Tensor{s} }, abi.ErrUnsupported},
		"component":        {func(s *abi.Tensor) []*abi.Tensor { s.Component = abi.ComponentZero; return []*abi.Tensor{s} }, abi.ErrUnsupported},
	} {
		e, err := cpu.New(limits)
		if err != nil {
			t.Fatal(err)
		}
		err = e.Plan(&m.Plan)
		for tensor, failed := range m.Tensors() {
			if failed != nil {
				t.Fatal(failed)
			}
			put := []*abi.Tensor{tensor}
			if tensor.Component == abi.ComponentScale && tensor.Name == "blk.0.qkv" && tensor.Part == 0 {
				put = c.change(tensor)
			}
			for _, p := range put {
				err = errors.Join(err, e.PutTensor(p))
			}
		}
		if err == nil {
			_, err = e.Finalise()
		}
		if !errors.Is(err, c.code) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		e.Close()
	}
}

// TestSynth makes random weights: the same of one seed, others of another, at the size
// that the footprint says, and of use.
func TestSynth(t *testing.T) {
	m, err := model.Load(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	logits := func(seed uint64) []float32 {
		e, err := cpu.New(limits)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		random := golden.Altered(m.Tensors(), func(tensor *abi.Tensor) {
			seed++
			tensor.DType, tensor.SynthSeed, tensor.Data = abi.Synth, seed, nil
		})
		takes(t, golden.Fill(t, e, &m.Plan, random), &m.Meta, limits)
		_, logits, err := (&golden.Driver{Backend: e}).Greedy([]int32{1, 2, 3}, 1, 256, nil)
		if err != nil {
			t.Fatal(err)
		}
		return logits
	}
	a, b, c := logits(7), logits(7), logits(1000)
	spread := 0.0
	for _, v := range a {
		spread += float64(v) * float64(v) / float64(len(a))
	}
	if !slices.Equal(a, b) || slices.Equal(a, c) || !(spread > 1e-4 && spread < 1e4) {
		t.Errorf("one seed twice the same: %v; another too: %v; mean square %v", slices.Equal(a, b), slices.Equal(a, c), spread)
	}
}
