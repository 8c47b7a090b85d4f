package weights

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"os"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// goldenValues reads a gzipped file of float32.
func goldenValues(t *testing.T, path string) []float32 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// TestDequantiseIsBitEqual compares every type with what the gguf package decodes.
func TestDequantiseIsBitEqual(t *testing.T) {
	want := goldenValues(t, "testdata/types.f32.gz")
	for _, c := range []struct {
		path  string
		names []string
	}{
		{"testdata/types.gguf", []string{"f32.weight", "f16.weight", "bf16.weight", "q8_0.weight", "q4_0.weight", "q4_1.weight"}},
		{"testdata/types.safetensors", []string{"f32", "f16", "bf16"}},
	} {
		f, err := Open(c.path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, name := range c.names {
			tensor, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			if rows, cols := tensor.Matrix(); rows != 4 || cols != 96 {
				t.Errorf("%s: %d x %d, want 4 x 96", name, rows, cols)
			}
			got, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s %s[%d] = %v, want %v", c.path, name, i, got[i], want[i])
				}
			}
			want = want[len(got):]
		}
	}
	if len(want) != 0 {
		t.Errorf("%d golden values left", len(want))
	}
}

// TestBlocksAreBitEqual decodes random blocks, with scales of every class of binary16,
// as the gguf package does. What is not a number there need only be none here: its bits
// are the processor's choice.
func TestBlocksAreBitEqual(t *testing.T) {
	want := goldenValues(t, "testdata/blocks.f32.gz")
	f, err := Open("testdata/blocks.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	types := map[abi.DType]bool{}
	for _, info := range f.Tensors() {
		if info.DType == 0 {
			continue
		}
		types[info.DType] = true
		tensor, err := f.Tensor(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tensor.Float32()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if math.Float32bits(v) != math.Float32bits(want[i]) && !(v != v && want[i] != want[i]) {
				t.Fatalf("%s[%d] = %v (%#x), want %v (%#x)", info.Name, i, v, math.Float32bits(v), want[i], math.Float32bits(want[i]))
			}
		}
		want = want[len(got):]
	}
	for dtype := range decoders {
		if block, _ := dtype.Block(); block > 1 && !types[dtype] {
			t.Errorf("%v is not in the golden file", dtype)
		}
	}
	if len(want) != 0 {
		t.Errorf("%d golden values left", len(want))
	}
}

func BenchmarkDequantise(b *testing.B) {
	const weights = 1 << 16
	dst := make([]float32, weights)
	for dtype := abi.F32; dtype <= abi.Q6_K; dtype++ {
		src := make([]byte, dtype.RowBytes(weights))
		b.Run(dtype.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if err := Dequantise(dtype, src, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestHalf compares every binary16 with its definition.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		var src [2]byte
		binary.LittleEndian.PutUint16(src[:], uint16(h))
		frac, exp := float64(h&1023), h>>10&31
		want := math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(frac, -24)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		got := float64(half(src[:]))
		if math.IsNaN(want) != math.IsNaN(got) || !math.IsNaN(want) && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("half(%#04x) = %v, want %v", h, got, want)
		}
	}
}

func TestDequantiseRefuses(t *testing.T) {
	if err := Dequantise(abi.Synth, nil, nil); err == nil {
		t.Error("synth decoded")
	}
	for _, c := range []struct{ bytes, weights int }{{34, 31}, {33, 32}, {34, 64}} {
		if err := Dequantise(abi.Q8_0, make([]byte, c.bytes), make([]float32, c.weights)); err == nil {
			t.Errorf("%d bytes decoded to %d weights", c.bytes, c.weights)
		}
	}
}

// FuzzDequantise: any bytes decode in every type whose blocks they fill, and never to
// more weights than there is room for.
func FuzzDequantise(f *testing.F) {
	for dtype := abi.F32; dtype <= abi.Q6_K; dtype++ {
		f.Add(uint32(dtype), bytes.Repeat([]byte{0xa5}, 420), 512)
	}
	f.Fuzz(func(t *testing.T, kind uint32, src []byte, n int) {
		if n < 0 || n > 1<<16 {
			return
		}
		dst := make([]float32, n+1)
		dst[n] = 42
		block, size := abi.DType(kind).Block()
		err := Dequantise(abi.DType(kind), src, dst[:n])
		if fits := block > 0 && n%block == 0 && n/block*size == len(src); fits != (err == nil) {
			t.Fatalf("%d bytes as %d weights of %v: %v", len(src), n, abi.DType(kind), err)
		}
		if dst[n] != 42 {
			t.Fatal("a weight was written past the end")
		}
	})
}
