package bench

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/local"
	"github.com/nanofleet/nanofleet/engine/model"
)

// TestNanoVLLM has the totals that nano-vLLM's own bench prints.
func TestNanoVLLM(t *testing.T) {
	w, err := New(NanoVLLM, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	in, out := 0, 0
	for _, l := range w.Lengths {
		in, out = in+l.In, out+l.Out
	}
	if len(w.Lengths) != 256 || in != 142827 || out != 133966 || w.Longest() > 2048 {
		t.Errorf("%d requests, %d tokens in, %d out, longest %d", len(w.Lengths), in, out, w.Longest())
	}
}

func TestNewRefuses(t *testing.T) {
	for say, c := range map[string]struct {
		kind           Kind
		batch, in, out int
	}{
		`workload: "odd"`: {"odd", 1, 1, 2}, "batch: 0": {Decode, 0, 1, 2}, "batch: 1025": {Prefill, 1025, 1, 2},
		"input: 0": {Decode, 1, 0, 2}, "output: 1": {Decode, 1, 1, 1},
	} {
		if _, err := New(c.kind, c.batch, c.in, c.out); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", say, err)
		}
	}
}

// TestBound adds up what each step reads.
func TestBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Workload
		for range rapid.IntRange(1, 5).Draw(t, "batch") {
			w.Lengths = append(w.Lengths, Length{rapid.IntRange(1, 50).Draw(t, "in"), rapid.IntRange(1, 50).Draw(t, "out")})
		}
		const weights, position, bandwidth = 1000, 7, 100
		read := 0.0
		for step := 1; ; step++ { // the first token comes of the prompt
			running := 0
			for _, l := range w.Lengths {
				if step < l.Out {
					running++
					read += float64(position * (l.In + step))
				}
			}
			if running == 0 {
				break
			}
			read += weights
		}
		if got := w.bound(weights, position, bandwidth); math.Abs(got-read/bandwidth) > 1e-6 {
			t.Fatalf("%v: %v s, want %v", w.Lengths, got, read/bandwidth)
		}
	})
}

// TestFigures reads a made-up pass: two sequences, one that begins late and one that ends
// early.
func TestFigures(t *testing.T) {
	began := time.Unix(100, 0)
	at := func(seconds ...float64) (list []arrival) {
		for _, s := range seconds {
			list = append(list, arrival{began.Add(time.Duration(s * float64(time.Second))), 1})
		}
		return list
	}
	w := Workload{Lengths: []Length{{10, 4}, {20, 5}}}
	r, err := w.figures(began, [][]arrival{at(1, 2, 3, 4), at(2, 3, 4, 5, 8)})
	want := Run{Seconds: 8, Input: 30, Output: 9, Rate: 9.0 / 8, Decode: 2, FirstP50: 2000, FirstMax: 2000}
	if err != nil || r != want {
		t.Errorf("%+v, %v, want %+v", r, err, want)
	}
	if _, err := w.figures(began, [][]arrival{at(1, 2, 3), at(2, 3, 4, 5, 8)}); err == nil || !strings.Contains(err.Error(), "request 0 gave 3 tokens, 4") {
		t.Errorf("a token is missing: %v", err)
	}
}

// TestMeasure runs every kind of workload on the CPU, on a shape that has no weights of
// its own, and holds the report to what was asked for. Decoding takes so many steps that
// whoever reads the tokens sees some before the last ones are there.
func TestMeasure(t *testing.T) {
	backends := map[string]func(abi.Limits) (engine.Backend, error){"cpu": func(l abi.Limits) (engine.Backend, error) { return cpu.New(l) }}
	text, ok := Shape("tiny")
	if !ok || !strings.Contains(ShapeNames(), "qwen3-8b") {
		t.Fatal(ShapeNames())
	}
	for _, c := range []struct {
		kind           Kind
		batch, in, out int
	}{{Decode, 3, 70, 800}, {Prefill, 2, 100, 1}, {NanoVLLM, 0, 0, 0}} {
		w, err := New(c.kind, c.batch, c.in, c.out)
		if err != nil {
			t.Fatal(err)
		}
		if c.kind == NanoVLLM { // all of it takes minutes
			w.Lengths = w.Lengths[:8]
			for i := range w.Lengths {
				w.Lengths[i].In /= 8
				w.Lengths[i].Out /= 8
			}
		}
		i, err := local.Open(local.Config{Shape: text, Backends: backends, NoPrefixCache: true, Options: model.Options{Threads: 1},
			Fit: func(m *model.Meta, backend string, o model.Options) (model.Options, error) {
				return w.Size(m, backend, o)
			}})
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		r, err := Measure(t.Context(), i, w, 2, 1e10, func(Run) { told++ })
		if err != nil {
			t.Fatal(err)
		}
		in, out := 0, 0
		for _, l := range w.Lengths {
			in, out = in+l.In, out+l.Out
		}
		if r.Input != in || r.Output != out || r.Requests != len(w.Lengths) || len(r.Runs) != 2 || told != 2 || !strings.HasPrefix(r.Numerics, "cpu/") {
			t.Errorf("%+v", r)
		}
		if r.Rate.Least > r.Rate.Median || r.Rate.Median > r.Rate.Most || r.Rate.Least <= 0 || r.First.Least <= 0 || (r.Bound > 0) != (c.kind != Prefill) || c.kind == Decode && r.Decode.Least <= 0 {
			t.Errorf("%s: %+v", c.kind, r)
		}
		if s := i.Stats(); s.CachedTokens != 0 || s.Preemptions != 0 {
			t.Errorf("%s: %d tokens cached, %d preempted", c.kind, s.CachedTokens, s.Preemptions)
		}
		if text, err := json.Marshal(r); err != nil || !strings.Contains(string(text), `"share_of_bound"`) != (c.kind == Prefill) {
			t.Errorf("%s, %v", text, err)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestShapes are those of the released models.
func TestShapes(t *testing.T) {
	for name, params := range map[string]uint64{"qwen3-0.6b": 596049920, "qwen3-8b": 8190735360, "qwen3-32b": 32762123264} {
		text, _ := Shape(name)
		m, err := model.FromShape(text)
		if err != nil || m.Params != params {
			t.Errorf("%s: %+v, %v", name, m.Params, err)
		}
	}
	w, _ := New(Decode, 1, 8000, 500)
	text, _ := Shape("tiny")
	m, err := model.FromShape(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Size(m, "cpu", model.Options{}); err == nil || !strings.Contains(err.Error(), "8500 tokens") {
		t.Errorf("a workload that is too long: %v", err)
	}
	if _, err := w.Size(m, "abacus", model.Options{}); err == nil {
		t.Error("an unknown backend")
	}
}
