package admin

import (
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// Versions are inspected and planned by name, the newest where none is said.
func TestInspectAndPlan(t *testing.T) {
	f := serve(t)
	c, ctx := f.client, t.Context()
	v, err := c.AddModel(ctx, "tiny", tiny.GGUF(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"", v.ID} {
		in, err := c.Inspect(ctx, "tiny", version, true)
		if err != nil || in.Name != "tiny@"+v.ID || in.Parameters != v.Parameters || len(in.Tensors) != 38 {
			t.Errorf("version %q: %+v, %v", version, in, err)
		}
		p, err := c.PlanModel(ctx, "tiny", version, api.PlanSpec{Backend: "cuda", Memory: 1 << 30, Context: 512, Concurrency: 4})
		if err != nil || !p.Fits || p.Footprint.Total == 0 || p.Options.MaxRunning != 4 {
			t.Errorf("version %q: %+v, %v", version, p, err)
		}
	}
	_, err = c.Inspect(ctx, "none", "", false)
	refused(t, err, 404, "none")
	_, err = c.Inspect(ctx, "tiny", "v-none", false)
	refused(t, err, 404, "v-none")
	_, err = c.PlanModel(ctx, "tiny", "", api.PlanSpec{Backend: "cuda", Memory: 1, Context: 4096})
	refused(t, err, 422, "at most 1024")
	_, err = c.PlanModel(ctx, "tiny", "", api.PlanSpec{Backend: "ref", Memory: 1})
	refused(t, err, 422, "backend")
}
