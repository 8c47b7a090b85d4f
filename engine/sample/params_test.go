package sample

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

func TestDefaultsAreWithinBounds(t *testing.T) {
	if err := Check(Defaults()); err != nil {
		t.Fatal(err)
	}
}

func TestCheckBounds(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	over := math.Nextafter32
	for _, f := range []struct {
		name      string
		set       func(*abi.Sampling, float32)
		good, bad []float32
	}{
		{"temperature", func(p *abi.Sampling, v float32) { p.Temperature = v }, []float32{0, 0.7, 2}, []float32{-1e-9, over(2, 3)}},
		{"top_p", func(p *abi.Sampling, v float32) { p.TopP = v }, []float32{1e-9, 1}, []float32{0, -1, over(1, 2)}},
		{"min_p", func(p *abi.Sampling, v float32) { p.MinP = v }, []float32{0, 1}, []float32{-1e-9, over(1, 2)}},
		{"typical_p", func(p *abi.Sampling, v float32) { p.TypicalP = v }, []float32{1e-9, 1}, []float32{0, over(1, 2)}},
		{"presence_penalty", func(p *abi.Sampling, v float32) { p.Presence = v }, []float32{-2, 0, 2}, []float32{over(-2, -3), over(2, 3)}},
		{"frequency_penalty", func(p *abi.Sampling, v float32) { p.Frequency = v }, []float32{-2, 0, 2}, []float32{over(-2, -3), over(2, 3)}},
		{"repetition_penalty", func(p *abi.Sampling, v float32) { p.Repetition = v }, []float32{1e-9, 1, 2}, []float32{0, -1, over(2, 3)}},
	} {
		for _, v := range f.good {
			p := Defaults()
			f.set(&p, v)
			if err := Check(p); err != nil {
				t.Errorf("%s = %v: %v", f.name, v, err)
			}
		}
		for _, v := range append(f.bad, nan, inf, -inf) {
			p := Defaults()
			f.set(&p, v)
			refused(t, Check(p), f.name)
		}
	}
}

func TestCheckTopLogprobs(t *testing.T) {
	p := Defaults()
	p.TopK, p.TopLogprobs = math.MaxUint32, abi.MaxTop
	if err := Check(p); err != nil {
		t.Fatal(err)
	}
	p.TopLogprobs++
	refused(t, Check(p), "top_logprobs")
}

// refused wants an *Error about the field that says its bound.
func refused(t *testing.T, err error, field string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Field != field || e.Bound == "" {
		t.Errorf("%s: got %#v", field, err)
		return
	}
	if s := e.Error(); !strings.HasPrefix(s, field+": ") || !strings.HasSuffix(s, ", must be "+e.Bound) {
		t.Errorf("%s says %q", field, s)
	}
}
