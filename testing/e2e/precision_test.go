package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestPrecision changes how KV is kept: engines are replaced, their numerics say so, and
// answers stay. What a backend does not have is refused before anything is changed.
func TestPrecision(t *testing.T) {
	f := up(t)
	ask := questions()[0]
	for _, c := range []struct {
		flags []string
		kv    string
	}{{[]string{"--kv-dtype", "f32"}, "f32"}, {[]string{"--kv-dtype", "f16", "--quant", "none"}, "kv"}} {
		f.must(slices.Concat([]string{"deploy", "tiny", "--backend", "cpu", "--wait", "60s"}, c.flags)...)
		f.until("the engine keeps KV as asked", func() bool {
			d, err := f.client().Deployment(t.Context(), "tiny")
			return err == nil && len(d.Instances) == 1 && d.Ready == 1 && strings.Split(d.Instances[0].Numerics, "/")[4] == c.kv
		})
		if got := f.ask(ask.Question); got != ask.Answer {
			t.Errorf("%v: got %q, want %q", c.flags, got, ask.Answer)
		}
	}
	before, err := f.client().Deployment(t.Context(), "tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		says  string
	}{
		{[]string{"--backend", "cpu", "--quant", "int4"}, `--quant: "int4", backend cpu has only none`},
		{[]string{"--backend", "cpu", "--kv-dtype", "fp8"}, `--kv-dtype: "fp8", backend cpu has only f16, f32`},
		{[]string{"--quant", "int3"}, "quant"},
	} {
		out, code := f.cli(append([]string{"deploy", "tiny"}, c.flags...)...)
		if code != 4 || !strings.Contains(out, c.says) {
			t.Errorf("%v: exit %d, %s", c.flags, code, out)
		}
	}
	after, err := f.client().Deployment(t.Context(), "tiny")
	if err != nil || after.Options != before.Options || after.Instances[0].ID != before.Instances[0].ID {
		t.Errorf("what was refused changed %+v to %+v, %v", before, after, err)
	}
}
