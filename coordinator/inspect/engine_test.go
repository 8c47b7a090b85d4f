//go:build cgo

package inspect

import (
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// finalised loads a model into a real engine with what a plan says and gives the bytes
// that it reports.
func finalised(t *testing.T, path string, p api.Plan) api.Footprint {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o := p.Options
	_, kv, err := model.Precision("cpu", o.Quant, o.KVDType)
	if err != nil {
		t.Fatal(err)
	}
	_, limits, err := model.Size(&m.Meta, "cpu", model.Options{KVDType: kv, Context: o.Context, MaxRunning: o.MaxRunning, StepTokens: o.StepTokens, KVBytes: o.KVBytes}, p.Memory)
	if err != nil {
		t.Fatal(err)
	}
	e, err := cpu.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Plan(&m.Plan); err != nil {
		t.Fatal(err)
	}
	for tensor, err := range m.Tensors() {
		if err == nil {
			err = e.PutTensor(tensor)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Finalise()
	if err != nil {
		t.Fatal(err)
	}
	return api.Footprint{Weights: b.Weights, KV: b.KV, Activations: b.Activations, Workspace: b.Workspace, Total: b.Total()}
}

// What a plan says is what an engine takes, to the byte.
func TestPlanIsWhatAnEngineTakes(t *testing.T) {
	for _, path := range []string{tiny.GGUF(), tiny.Dir()} {
		for _, c := range []struct {
			context, n uint32
			kv         string
		}{{0, 1, ""}, {512, 7, "f16"}, {100, 64, ""}, {1024, 16, "f32"}} {
			p, err := Plan(meta(t, path), api.PlanSpec{Backend: "cpu", Memory: 1 << 30, Context: c.context, Concurrency: c.n, KVDType: c.kv})
			if err != nil {
				t.Fatal(err)
			}
			if got := finalised(t, path, p); got != p.Footprint {
				t.Errorf("%s %+v: the engine takes %+v, the plan says %+v", path, c, got, p.Footprint)
			}
		}
	}
}
