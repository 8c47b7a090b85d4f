package gpu

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// The rules of cuda/kernels/gemm/quantise.h, in Go: what a matrix becomes.

func bf16(v float64) float64 {
	bits := math.Float32bits(float32(v))
	return float64(math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff))
}

// e4m3 rounds to the nearest, ties to even.
func e4m3(v float64) float64 {
	step := math.Exp2(-9)
	if m := math.Abs(v); m >= math.Exp2(-6) {
		step = math.Exp2(math.Floor(math.Log2(m)) - 3)
	}
	return math.RoundToEven(v/step) * step
}

func fp8Row(row []float64) {
	most := 0.0
	for _, v := range row {
		most = max(most, math.Abs(v))
	}
	if most == 0 {
		return
	}
	scale := math.Exp2(math.Ceil(math.Log2(most / 448)))
	for i, v := range row {
		row[i] = e4m3(v/scale) * scale
	}
}

// int4Group searches sixteen ranges for the least squared error.
func int4Group(x []float64) {
	low, high, least := slices.Min(x), slices.Max(x), math.Inf(1)
	best := make([]float64, len(x))
	for i := range 16 {
		keep := 1 - 0.02*float64(i)
		step := bf16((high - low) * keep * 16 / 15)
		base := bf16(low + (high-low)*(1-keep)/2 - step)
		sum, y := 0.0, make([]float64, len(x))
		for j, v := range x {
			code := 0.0
			if step > 0 {
				code = min(max(math.RoundToEven((v-step-base)*16/step), 0), 15)
			}
			y[j] = bf16((1+code/16)*step + base)
			sum += (v - y[j]) * (v - y[j])
		}
		if sum < least {
			least, best = sum, y
		}
	}
	copy(x, best)
}

// quantise makes a bfloat16 tensor what an engine with that option multiplies.
func quantise(t *abi.Tensor, quant abi.Quant) {
	cols := int(t.Cols)
	out := make([]byte, len(t.Data))
	row := make([]float64, cols)
	for at := 0; at < len(t.Data); at += 2 * cols {
		for i := range row {
			row[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.Data[at+2*i:])) << 16))
		}
		if quant == abi.QuantFP8 {
			fp8Row(row)
		} else {
			for group := range slices.Chunk(row, 128) {
				int4Group(group)
			}
		}
		for i, v := range row {
			binary.LittleEndian.PutUint16(out[at+2*i:], uint16(math.Float32bits(float32(v))>>16))
		}
	}
	t.Data = out
}

// change quantises what an engine with that option quantises.
func change(quant abi.Quant) func(*abi.Tensor) {
	return func(t *abi.Tensor) {
		switch {
		case t.Rows == 1 || t.Name == "embed":
		case t.Name == "head" && quant == abi.QuantInt4:
			quantise(t, abi.QuantFP8)
		default:
			quantise(t, quant)
		}
	}
}

// reference runs a shape on the weights that quantising leaves.
func reference(t *testing.T, m *model.Model, limits abi.Limits, apply func(*abi.Tensor)) *golden.Driver {
	t.Helper()
	oracle, err := ref.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { oracle.Close() })
	if err := oracle.Plan(&m.Plan); err != nil {
		t.Fatal(err)
	}
	for tensor, err := range m.Tensors() {
		if err != nil {
			t.Fatal(err)
		}
		apply(tensor)
		if err := oracle.PutTensor(tensor); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := oracle.Finalise(); err != nil {
		t.Fatal(err)
	}
	return &golden.Driver{Backend: oracle}
}

// TestQuantisedShapes compares with it at row counts for every kernel.
func TestQuantisedShapes(t *testing.T) {
	device(t)
	for name, s := range map[string]shape{"wide": wide, "odd": odd} {
		m := open(t, s.write(t, rand.New(rand.NewPCG(4, 2))))
		for _, quant := range []abi.Quant{abi.QuantFP8, abi.QuantInt4} {
			limits := abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 256, MaxPositions: 512, Pages: 8}
			want := reference(t, m, limits, change(quant))
			limits.Quant = quant
			fast := &golden.Driver{Backend: start(t, m, limits)}
			limits.Invariant = true
			invariant := &golden.Driver{Backend: start(t, m, limits)}
			least, random := 1.0, rand.New(rand.NewPCG(5, 6))
			for _, n := range []int{1, 65, 200} {
				prompt := make([]int32, n)
				for i := range prompt {
					prompt[i] = int32(random.IntN(512))
				}
				_, expect, err := want.Greedy(prompt, 1, 256, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, chunk := range []int{256, 67, 40, 13, 1} {
					for _, got := range []*golden.Driver{fast, invariant} {
						_, logits, err := got.Greedy(prompt, 1, chunk, nil)
						if err != nil {
							t.Fatal(err)
						}
						least = min(least, golden.Cosine(logits, expect))
					}
				}
			}
			t.Logf("%s, %v: least cosine %.6f", name, quant, least)
			if !(least >= 0.999) {
				t.Errorf("%s, %v: least cosine %v, must be at least 0.999", name, quant, least)
			}
		}
	}
}

// TestQuantisedGolden compares the quantised tiny model with transformers on the plain
// one: what quantising costs.
func TestQuantisedGolden(t *testing.T) {
	device(t)
	for _, c := range []struct {
		quant abi.Quant
		least float64
	}{{abi.QuantFP8, 0.99}, {abi.QuantInt4, 0.9}} {
		limits := goldenLimits
		limits.Quant = c.quant
		driver, least := &golden.Driver{Backend: start(t, open(t, tiny.Dir()), limits)}, 1.0
		set, err := golden.Load(golden.Tiny)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Prompts {
			logits, err := driver.Logits(p.IDs)
			if err != nil {
				t.Fatal(err)
			}
			for i := range logits {
				least = min(least, golden.Cosine(logits[i], p.Logits[i]))
			}
		}
		t.Logf("%v: least cosine %.6f", c.quant, least)
		if !(least >= c.least) {
			t.Errorf("%v: least cosine %v, must be at least %v", c.quant, least, c.least)
		}
	}
}

// TestFP8Files compares checkpoints in FP8 with what their weights as saved give: kept as
// they are, and quantised once more, of which random weights suffer.
func TestFP8Files(t *testing.T) {
	device(t)
	all, err := golden.FP8()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		for _, c := range []struct {
			limits abi.Limits
			least  float64
		}{{abi.Limits{}, 0.999}, {abi.Limits{Invariant: true}, 0.999}, {abi.Limits{Quant: abi.QuantFP8}, 0.99}, {abi.Limits{Quant: abi.QuantInt4}, 0.4}} {
			limits := goldenLimits
			limits.Quant, limits.Invariant = c.limits.Quant, c.limits.Invariant
			logits, err := (&golden.Driver{Backend: start(t, open(t, a.Dir), limits)}).Logits(a.IDs)
			if err != nil {
				t.Fatal(err)
			}
			least := 1.0
			for i := range logits {
				least = min(least, golden.Cosine(logits[i], a.Logits[i]))
			}
			t.Logf("%s, quant %v, invariant %v: least cosine %.6f", a.Name, c.limits.Quant, c.limits.Invariant, least)
			if !(least >= c.least) {
				t.Errorf("%s, quant %v: least cosine %v, must be at least %v", a.Name, c.limits.Quant, least, c.least)
			}
		}
	}
}
