package golden

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
)

// Architecture is a tiny random model with the logits that transformers computes for
// it in float32. architectures.py makes them.
type Architecture struct {
	Name   string
	Dir    string      `json:"-"` // Hugging Face directory
	GGUF   string      `json:"-"` // the same weights; "" where GGUF cannot say what the model is
	DType  string      `json:"dtype"`
	IDs    []int32     `json:"ids"`
	Logits [][]float32 `json:"-"` // of every position
}

// Architectures lists the models, by name.
func Architectures() ([]Architecture, error) { return models("architectures") }

// FP8 lists tiny checkpoints of every kind of FP8 that is read, by name; their logits are
// computed in float64 from the weights as saved. fp8.py makes them.
func FP8() ([]Architecture, error) { return models("fp8") }

// models are those of one directory of testdata.
func models(under string) ([]Architecture, error) {
	entries, err := data.ReadDir("testdata/" + under)
	if err != nil {
		return nil, err
	}
	var out []Architecture
	for _, e := range entries {
		a := Architecture{Name: e.Name()}
		if err := a.read(under); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (a *Architecture) read(under string) error {
	_, file, _, _ := runtime.Caller(0)
	a.Dir = filepath.Join(filepath.Dir(file), "testdata", under, a.Name)
	gguf := filepath.Join(a.Dir, a.Name+".gguf")
	if _, err := os.Stat(gguf); err == nil {
		a.GGUF = gguf
	}
	text, err := data.ReadFile("testdata/" + under + "/" + a.Name + "/golden.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, a); err != nil {
		return err
	}
	return a.readLogits(under)
}

func (a *Architecture) readLogits(under string) error {
	packed, err := data.ReadFile("testdata/" + under + "/" + a.Name + "/logits.f32.gz")
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	values := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, values); err != nil {
		return err
	}
	vocab := len(values) / len(a.IDs)
	for i := range a.IDs {
		a.Logits = append(a.Logits, values[i*vocab:(i+1)*vocab])
	}
	return nil
}

// Rope is a setting of rotary positions with the frequencies transformers computes.
type Rope struct {
	Config          map[string]any `json:"config"` // keys of config.json
	InvFreq         []float64      `json:"inv_freq"`
	AttentionFactor float64        `json:"attention_factor"`
}

// Ropes are the settings by name.
func Ropes() (map[string]Rope, error) {
	text, err := data.ReadFile("testdata/rope.json")
	if err != nil {
		return nil, err
	}
	var out map[string]Rope
	return out, json.Unmarshal(text, &out)
}

// Distance is the largest difference between two rows of logits.
func Distance(a, b [][]float32) float64 {
	most := 0.0
	for i := range a {
		for j := range a[i] {
			most = max(most, math.Abs(float64(a[i][j])-float64(b[i][j])))
		}
	}
	return most
}
