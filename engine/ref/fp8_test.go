package ref_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
)

// TestFP8 compares every position's logits with float64 on the same E4M3 weights times
// their scales, for each way that checkpoints keep them.
func TestFP8(t *testing.T) {
	all, err := golden.FP8()
	if err != nil || len(all) < 5 {
		t.Fatal(len(all), err)
	}
	for _, a := range all {
		far := golden.Distance(a.Logits, logits(t, a.Dir, a.IDs))
		t.Logf("%s: at most %.2g away", a.Name, far)
		if !(far <= 1e-3) {
			t.Errorf("%s: a logit is %v from float64's, at most 1e-3 is allowed", a.Name, far)
		}
	}
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
		"2 x 1":            {func(s *abi.Tensor) []*abi.Tensor { s.Rows, s.Cols, s.Data = 2, 1, s.Data[:4]; return []*abi.Tensor{s} }, abi.ErrInvalid},
		"f16": {func(s *abi.Tensor) []*abi.Tensor {
			s.DType = abi.F16
			return []*abi.Tensor{s}
		}, abi.ErrUnsupported},
		"component": {func(s *abi.Tensor) []*abi.Tensor { s.Component = abi.ComponentZero; return []*abi.Tensor{s} }, abi.ErrUnsupported},
	} {
		e, err := ref.New(tinyLimits)
		if err != nil {
			t.Fatal(err)
		}
		err = e.Plan(&m.Plan)
		for tensor, failed := range m.Tensors() {
			put := []*abi.Tensor{tensor}
			if failed != nil {
				t.Fatal(failed)
			}
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
