package e2e

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestEval measures one text in this process and through a deployment: one perplexity.
func TestEval(t *testing.T) {
	f := up(t)
	text := filepath.Join(t.TempDir(), "text.txt")
	var b strings.Builder
	for _, q := range questions() {
		b.WriteString(q.Question + " " + q.Answer + "\n")
	}
	if err := os.WriteFile(text, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	type result struct {
		Perplexity  float64
		BitsPerByte float64 `json:"bits_per_byte"`
		Tokens      int
		Windows     int
		Numerics    string `json:"numerics_id"`
	}
	measure := func(args ...string) (r result) {
		out := f.must(append([]string{"eval", "--text", text, "--context", "128", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err, out)
		}
		return r
	}
	file, fleet := measure(tiny.GGUF(), "--backend", "cpu"), measure("tiny")
	if file.Tokens < 200 || file.Windows < 3 || file.Tokens != fleet.Tokens || file.Numerics != fleet.Numerics || !strings.HasPrefix(file.Numerics, "cpu/") ||
		math.Abs(file.Perplexity/fleet.Perplexity-1) > 1e-6 || math.Abs(file.BitsPerByte/fleet.BitsPerByte-1) > 1e-6 {
		t.Errorf("from the file %+v, of the deployment %+v", file, fleet)
	}
	if other := measure(tiny.GGUF(), "--backend", "ref"); math.Abs(file.Perplexity/other.Perplexity-1) > 1e-3 || other.Numerics == file.Numerics {
		t.Errorf("on cpu %+v, on ref %+v", file, other)
	}
	if other := measure(tiny.GGUF(), "--backend", "cpu", "--kv-dtype", "f32"); math.Abs(file.Perplexity/other.Perplexity-1) > 1e-3 || !strings.Contains(other.Numerics, "/f32/") {
		t.Errorf("KV in f16 %+v, in f32 %+v", file, other)
	}
	if out := f.must("eval", "--text", text, tiny.GGUF(), "--backend", "cpu"); !strings.Contains(out, "bits per byte") {
		t.Error(out)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{tiny.GGUF()}, 2, "--text"},
		{[]string{tiny.GGUF(), "--text", text + "x"}, 2, "no such file"},
		{[]string{tiny.GGUF(), "--text", tiny.GGUF()}, 2, "UTF-8"},
		{[]string{tiny.GGUF(), "--text", text, "--context", "1024"}, 2, "at most 1023"},
		{[]string{tiny.GGUF(), "--text", text, "--backend", "cpu", "--quant", "fp8"}, 1, `quant: "fp8", backend cpu has only none`},
		{[]string{"tiny", "--text", text, "--quant", "fp8"}, 2, "nanofleet deploy"},
		{[]string{"tinny", "--text", text}, 4, "tiny"},
	} {
		if out, code := f.cli(append([]string{"eval"}, c.args...)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: exit %d, want %d and %q: %s", c.args, code, c.code, c.says, out)
		}
	}
}
