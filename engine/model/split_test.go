package model_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// TestSplitIsTheWholeModel: the parts that the gguf package made of a file load as that
// file does, from the first of them or from their directory, byte for byte.
func TestSplitIsTheWholeModel(t *testing.T) {
	whole, err := model.Load("../../testing/golden/testdata/architectures/llama_linear/llama_linear.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	limits := abi.Limits{MaxSlots: 2, MaxRows: 2, MaxTokens: 10, MaxPositions: 100, Pages: 3}
	for _, path := range []string{"testdata/split", filepath.Join("testdata/split", "llama_linear-00001-of-00003.gguf")} {
		parts, err := model.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		defer parts.Close()
		if !reflect.DeepEqual(parts.Plan, whole.Plan) || !reflect.DeepEqual(parts.Weights, whole.Weights) || parts.Params != whole.Params {
			t.Errorf("%s: another plan: %d weights, %d parameters", path, len(parts.Weights), parts.Params)
		}
		for _, backend := range []string{"ref", "cpu", "cuda"} {
			got, err := model.Footprint(&parts.Meta, limits, backend)
			want, err2 := model.Footprint(&whole.Meta, limits, backend)
			if err != nil || err2 != nil || got != want {
				t.Errorf("%s: footprint on %s %+v, want %+v, %v", path, backend, got, want, err)
			}
		}
		read := map[string][]byte{}
		for tensor, err := range whole.Tensors() {
			if err != nil {
				t.Fatal(err)
			}
			read[tensor.Name+string(rune('0'+tensor.Part))] = tensor.Data
		}
		for tensor, err := range parts.Tensors() {
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(tensor.Data, read[tensor.Name+string(rune('0'+tensor.Part))]) {
				t.Errorf("%s: %s differs", path, tensor.Name)
			}
		}
	}
	if i, err := model.Inspect("testdata/split"); err != nil || i.Problem != nil || len(i.Files) != 3 {
		t.Errorf("inspected: %+v, %v", i, err)
	}
}
