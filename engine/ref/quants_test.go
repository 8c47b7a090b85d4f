package ref_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/testing/golden"
)

const quants = "testdata/quants.gguf"

// quantsGolden is what the gguf package and numpy make of the file.
type quantsGolden struct {
	IDs    []int32
	SHA256 map[string]string // of each tensor, decoded
	logits [][]float32
}

func readQuants(t *testing.T) *quantsGolden {
	t.Helper()
	text, err := os.ReadFile("testdata/quants.json")
	if err != nil {
		t.Fatal(err)
	}
	g := &quantsGolden{}
	if err := json.Unmarshal(text, g); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/quants.f32.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for range g.IDs {
		row := make([]float32, 512)
		if err := binary.Read(z, binary.LittleEndian, row); err != nil {
			t.Fatal(err)
		}
		g.logits = append(g.logits, row)
	}
	return g
}

// TestQuants runs a model whose matrices are of seven block types, made by llama.cpp:
// every tensor decodes to the bits that the gguf package gives, and the logits are
// those of numpy in float64.
func TestQuants(t *testing.T) {
	want := readQuants(t)
	f, err := weights.Open(quants)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	types := map[string]bool{}
	for _, info := range f.Tensors() {
		types[info.Type] = true
		tensor, err := f.Tensor(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		values, err := tensor.Float32()
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(floatBytes(values)); hex.EncodeToString(sum[:]) != want.SHA256[info.Name] {
			t.Errorf("%s (%s) differs from what the gguf package decodes", info.Name, info.Type)
		}
	}
	for _, name := range []string{"Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"} {
		if !types[name] {
			t.Errorf("the file has no %s", name)
		}
	}
	far := golden.Distance(want.logits, logits(t, quants, want.IDs))
	t.Logf("at most %.2g from numpy", far)
	if !(far <= 1e-3) {
		t.Errorf("a logit is %v from numpy's, at most 1e-3 is allowed", far)
	}
}

// TestQuantsAreTheirFloats: the same weights put as float32 give the same bits.
func TestQuantsAreTheirFloats(t *testing.T) {
	want := readQuants(t)
	_, m := load(t, quants, tinyLimits)
	e, err := ref.New(tinyLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Plan(&m.Plan); err != nil {
		t.Fatal(err)
	}
	for tensor, err := range m.Tensors() {
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, tensor.Rows*tensor.Cols)
		if err := weights.Dequantise(tensor.DType, tensor.Data, values); err != nil {
			t.Fatal(err)
		}
		plain := *tensor
		plain.DType, plain.Data = abi.F32, floatBytes(values)
		if err := e.PutTensor(&plain); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Finalise(); err != nil {
		t.Fatal(err)
	}
	plain, err := (&golden.Driver{Backend: e}).Logits(want.IDs)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range logits(t, quants, want.IDs) {
		if !slices.Equal(row, plain[i]) {
			t.Errorf("position %d: the logits of blocks and of their floats differ", i)
		}
	}
}

func floatBytes(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
