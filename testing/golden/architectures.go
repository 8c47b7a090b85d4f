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
func Architectures() ([]Architecture, error) {
	entries, err := data.ReadDir("testdata/architectures")
	if err != nil {
		return nil, err
	}
	var out []Architecture
	for _, e := range entries {
		a := Architecture{Name: e.Name()}
		if err := a.read(); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (a *Architecture) read() error {
	_, file, _, _ := runtime.Caller(0)
	a.Dir = filepath.Join(filepath.Dir(file), "testdata", "architectures", a.Name)
	gguf := filepath.Join(a.Dir, a.Name+".gguf")
	if _, err := os.Stat(gguf); err == nil {
		a.GGUF = gguf
	}
	text, err := data.ReadFile("testdata/architectures/" + a.Name + "/golden.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, a); err != nil {
		return err
	}
	return a.readLogits()
}

func (a *Architecture) readLogits() error {
	packed, err := data.ReadFile("testdata/architectures/" + a.Name + "/logits.f32.gz")
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
