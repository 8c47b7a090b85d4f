package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// FuzzConfig reads any config.json as every architecture: it is refused, or the plan
// holds together.
func FuzzConfig(f *testing.F) {
	all, err := filepath.Glob("../../testing/golden/testdata/architectures/*/" + configName)
	if err != nil || len(all) < 9 {
		f.Fatal(all, err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	fp8, err := filepath.Glob("../../testing/golden/testdata/fp8/*/" + configName)
	if err != nil || len(fp8) < 5 {
		f.Fatal(fp8, err)
	}
	for _, path := range fp8 {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(smolJSON))
	f.Add([]byte(`{"layer_types":[],"rope_scaling":{"type":"yarn","factor":1e300},"num_hidden_layers":1e300}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for arch, read := range fromJSON {
			c := &jsonConfig{}
			if json.Unmarshal(text, &c.values) != nil {
				return
			}
			if d, err := read(c); err == nil {
				checkDesign(t, arch, d)
				checkScheme(t, d.scheme)
			}
		}
	})
}

// checkScheme demands shapes of scales that backends know.
func checkScheme(t *testing.T, f *fp8Scheme) {
	if f == nil {
		return
	}
	f.ignored("model.layers.0.self_attn.q_proj")
	for _, rows := range []uint64{1, 2, 300} {
		high, wide := f.shape(part{rows: 300, cols: 200}, rows)
		if s := [2]uint32{high, wide}; s != [2]uint32{1, 1} && s != [2]uint32{300, 1} && s != [2]uint32{3, 2} || f.suffix == "" {
			t.Fatalf("%v scales named %q", s, f.suffix)
		}
	}
}

// checkDesign looks for numbers that no backend should see.
func checkDesign(t *testing.T, arch string, d *design) {
	c := d.config
	for _, table := range d.plan.RopeTables {
		for i, frequency := range table.InvFreq {
			if !(frequency >= 0 && frequency <= 1) || math.IsInf(float64(table.AttentionFactor), 0) || table.AttentionFactor < 0 {
				t.Fatalf("%s: frequency %d is %v, attention factor %v, of %+v", arch, i, frequency, table.AttentionFactor, c)
			}
		}
	}
	for _, op := range d.plan.Ops {
		if op.Kind == abi.OpAttention && op.Window > 0 && op.Window >= c.Context {
			t.Fatalf("%s: window %d, context %d", arch, op.Window, c.Context)
		}
	}
	if len(d.plan.Ops) > 4+8*maxLayers || c.Context == 0 || c.Context > maxContext {
		t.Fatalf("%s: %d operations, context %d", arch, len(d.plan.Ops), c.Context)
	}
}
