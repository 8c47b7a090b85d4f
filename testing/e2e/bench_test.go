package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBenchEngine measures an engine without a fleet: for so many steps that whoever
// reads the tokens sees some before the last ones are there.
func TestBenchEngine(t *testing.T) {
	f := &fleet{t: t, data: t.TempDir()}
	out := f.must("bench", "--engine", "--backend", "cpu", "--shape", "tiny", "--batch", "2", "--input", "20", "--output", "800", "--runs", "2", "--kv-dtype", "f32",
		"--bandwidth", "20", "--json")
	var r struct {
		Shape    string
		KVDType  string `json:"kv_dtype"`
		Numerics string `json:"numerics_id"`
		Runs     []struct {
			Decode float64 `json:"decode_tokens_per_second"`
		}
		Share float64 `json:"share_of_bound"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err, out)
	}
	if r.Shape != "tiny" || r.KVDType != "f32" || !strings.Contains(r.Numerics, "/f32/") || len(r.Runs) != 2 || !(r.Runs[0].Decode > 0) || !(r.Share > 0) {
		t.Error(out)
	}
	if out := f.must("bench", "--engine", "--backend", "cpu", "--shape", "tiny", "--workload", "prefill", "--input", "20", "--runs", "1"); !strings.Contains(out, "first token") {
		t.Error(out)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--shape", "tiny"}, 2, "--shape wants --engine"},
		{[]string{"--engine", "--requests", "4"}, 2, "--requests measures an endpoint"},
		{[]string{"--engine", "--shape", "qwen3-9b"}, 2, "qwen3-8b"},
		{[]string{"--engine", "--workload", "odd"}, 2, "nano-vllm decode prefill"},
		{[]string{"--engine", "--runs", "0"}, 2, "--runs 0"},
		{[]string{"--engine", "--shape", "none.json"}, 2, "no such file"},
		{[]string{"--engine", "--shape", "tiny", "--backend", "cpu", "--quant", "int4"}, 1, `quant: "int4", backend cpu has only none`},
	} {
		if out, code := f.cli(append([]string{"bench"}, c.args...)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: exit %d, want %d and %q: %s", c.args, code, c.code, c.says, out)
		}
	}
}
