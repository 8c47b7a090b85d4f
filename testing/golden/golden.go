// Package golden holds logits and greedy texts as transformers computes them, with
// the script that made them (golden.py), and the driver that compares a backend with
// them. engine/ref and engine/cpu share it.
package golden

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
)

//go:embed testdata
var data embed.FS

// Names of the sets.
const (
	SmolLM2  = "smollm2"   // SmolLM2-135M-Instruct.Q4_1.gguf, last position of each prompt
	Tiny     = "tiny"      // testing/tiny/model, every position
	TinyGGUF = "tiny_gguf" // testing/tiny/tiny.gguf, every position
)

// perFile is how many prompts share one file of logits.
const perFile = 5

// Set is the golden values of one model.
type Set struct {
	SHA256  string   `json:"sha256"` // of the GGUF or safetensors file
	Vocab   int      `json:"vocab"`
	All     bool     `json:"all"` // logits of every position, else of the last
	Prompts []Prompt `json:"prompts"`
}

// Prompt is one text with what follows it.
type Prompt struct {
	Text   string      `json:"text"`
	IDs    []int32     `json:"ids"`
	Greedy []int32     `json:"greedy"` // up to 64 tokens, the ending one included
	Logits [][]float32 `json:"-"`      // the last position's, or each one's
}

// Load reads a set by name.
func Load(name string) (*Set, error) {
	text, err := data.ReadFile("testdata/" + name + ".json")
	if err != nil {
		return nil, err
	}
	s := &Set{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	for n := 0; n < len(s.Prompts); n += perFile {
		file := fmt.Sprintf("testdata/%s.%d.f16.gz", name, n/perFile)
		if err := s.readLogits(file, s.Prompts[n:min(n+perFile, len(s.Prompts))]); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return s, nil
}

// readLogits fills the logits of the prompts that share a file.
func (s *Set) readLogits(file string, prompts []Prompt) error {
	packed, err := data.ReadFile(file)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	raw := make([]byte, 2*s.Vocab)
	for i := range prompts {
		rows := 1
		if s.All {
			rows = len(prompts[i].IDs)
		}
		for range rows {
			if _, err := io.ReadFull(z, raw); err != nil {
				return err
			}
			prompts[i].Logits = append(prompts[i].Logits, halves(raw))
		}
	}
	return nil
}

// halves decodes float16; logits are normal numbers.
func halves(raw []byte) []float32 {
	out := make([]float32, len(raw)/2)
	for i := range out {
		h := binary.LittleEndian.Uint16(raw[2*i:])
		sign, exp, frac := 1.0, int(h>>10&31), float64(h&1023)
		if h>>15 == 1 {
			sign = -1
		}
		if exp == 0 {
			out[i] = float32(sign * math.Ldexp(frac, -24))
		} else {
			out[i] = float32(sign * math.Ldexp(1+frac/1024, exp-15))
		}
	}
	return out
}

// Cosine is the cosine of the angle between two vectors of one length.
func Cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// ModelPath finds the SmolLM2 GGUF: NANOFLEET_MODEL, or .cache at the repository's
// root; "" when it is nowhere.
func ModelPath() string {
	_, file, _, _ := runtime.Caller(0)
	cached := filepath.Join(filepath.Dir(file), "..", "..", ".cache", "SmolLM2-135M-Instruct.Q4_1.gguf")
	for _, path := range []string{os.Getenv("NANOFLEET_MODEL"), cached} {
		if _, err := os.Stat(path); path != "" && err == nil {
			return path
		}
	}
	return ""
}

// Prove says whether the whole proof is asked for (NANOFLEET_PROVE=1), not a sample.
func Prove() bool { return os.Getenv("NANOFLEET_PROVE") == "1" }
