package inspect

import (
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

func meta(t *testing.T, path string) *model.Meta {
	t.Helper()
	m, err := model.LoadMeta(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The largest that fits does, and one more does not.
func TestPlanBounds(t *testing.T) {
	m := meta(t, tiny.GGUF())
	for _, memory := range []uint64{1 << 20, 8 << 20, 30 << 20, 100 << 20, 1 << 40} {
		spec := api.PlanSpec{Backend: "cuda", Memory: memory, Context: 512, Concurrency: 8, Bandwidth: 1e12}
		p, err := Plan(m, spec)
		if err != nil {
			t.Fatal(err)
		}
		fits := func(context, n uint32) bool {
			q, err := Plan(m, api.PlanSpec{Backend: "cuda", Memory: memory, Context: context, Concurrency: n})
			if err != nil {
				t.Fatal(err)
			}
			if q.Fits != (q.Footprint.Total <= memory) || q.Fits == (q.Lacking > 0) || q.Spare > 0 && q.Lacking > 0 {
				t.Errorf("memory %d: %+v", memory, q)
			}
			return q.Fits
		}
		if n := p.Sequences; n > 0 && !fits(512, n) || n < maxConcurrency && fits(512, n+1) {
			t.Errorf("memory %d: %d sequences are not the most", memory, n)
		}
		if c := p.LargestContext; c > 0 && !fits(c, 8) || c < m.Context && fits(c+abi.PageLen, 8) {
			t.Errorf("memory %d: %d tokens are not the longest", memory, c)
		}
		if p.Bound == nil || p.Bound.One <= 0 || p.Bound.All <= 0 || p.Bound.All >= 8*p.Bound.One {
			t.Errorf("bound %+v", p.Bound)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	m := meta(t, tiny.GGUF())
	for want, spec := range map[string]api.PlanSpec{
		`backend: "ref"`:    {Backend: "ref", Memory: 1},
		"concurrency: 1025": {Backend: "cpu", Memory: 1, Concurrency: 1025},
		`kv_dtype: "fp8"`:   {Backend: "cpu", Memory: 1, KVDType: "fp8"},
		"context: 1025":     {Backend: "cpu", Memory: 1, Context: 1025},
	} {
		if _, err := Plan(m, spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", spec, err, want)
		}
	}
}
