package eval_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/eval"
	"github.com/nanofleet/nanofleet/engine/local"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

var backends = map[string]func(abi.Limits) (engine.Backend, error){
	"cpu": func(l abi.Limits) (engine.Backend, error) { return cpu.New(l) },
	"ref": func(l abi.Limits) (engine.Backend, error) { return ref.New(l) },
}

func open(t *testing.T, path, backend string, o model.Options) *local.Instance {
	t.Helper()
	i, err := local.Open(local.Config{Path: path, Backends: backends, Backend: backend, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// nll is what logits of every position make of the tokens after them.
func nll(logits [][]float32, ids []int32) (sum float64) {
	for i, id := range ids[1:] {
		most := float64(slices.Max(logits[i]))
		total := 0.0
		for _, l := range logits[i] {
			total += math.Exp(float64(l) - most)
		}
		sum -= float64(logits[i][id]) - most - math.Log(total)
	}
	return sum
}

// TestGolden compares with the logits that transformers, or float64, computes for tiny
// models in plain types and in FP8.
func TestGolden(t *testing.T) {
	plain, err := golden.Architectures()
	if err != nil {
		t.Fatal(err)
	}
	fp8, err := golden.FP8()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range append(plain, fp8...) {
		i := open(t, a.Dir, "ref", model.Options{Context: 64, MaxRunning: 1})
		p, err := eval.Measure(t.Context(), eval.Engine{Engine: i.Engine}, eval.Text{IDs: a.IDs, Bytes: 100}, 63, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := nll(a.Logits, a.IDs)
		if !(math.Abs(p.Perplexity/math.Exp(want/float64(len(a.IDs)-1))-1) < 1e-4) || p.Tokens != len(a.IDs)-1 || p.Windows != 1 ||
			math.Abs(p.BitsPerByte-want/math.Ln2/100) > 1e-4 {
			t.Errorf("%s: %+v, want a sum of %v", a.Name, p, want)
		}
	}
}

// TestLlamaCpp compares the perplexity of a text with what llama.cpp's logits make of it
// (testdata/perplexity.py).
func TestLlamaCpp(t *testing.T) {
	path := golden.ModelPath()
	if path == "" {
		t.Skip("the SmolLM2 GGUF is neither in .cache nor named by NANOFLEET_MODEL")
	}
	var want struct {
		SHA        string  `json:"text_sha256"`
		Window     int     `json:"window"`
		Tokens     int     `json:"tokens"`
		Perplexity float64 `json:"perplexity"`
		First      []int32 `json:"first_ids"`
	}
	b, err := os.ReadFile("testdata/perplexity.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%x", sha256.Sum256(text)) != want.SHA {
		t.Fatal("testdata/text.txt has changed: run testdata/perplexity.py again")
	}
	i := open(t, path, "cpu", model.Options{Context: uint32(want.Window) + 1, MaxRunning: 2})
	tokens := eval.Tokenise(i.Meta.Tokenizer, string(text))
	if !slices.Equal(tokens.IDs[:len(want.First)], want.First) {
		t.Errorf("the text begins with %v, in llama.cpp with %v", tokens.IDs[:len(want.First)], want.First)
	}
	p, err := eval.Measure(t.Context(), eval.Engine{Engine: i.Engine}, tokens, want.Window, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	far := p.Perplexity/want.Perplexity - 1
	t.Logf("perplexity %.4f, llama.cpp %.4f: %+.2g apart", p.Perplexity, want.Perplexity, far)
	if !(math.Abs(far) < 1e-3) || p.Tokens != want.Tokens {
		t.Errorf("perplexity %v of %d tokens, llama.cpp %v of %d", p.Perplexity, p.Tokens, want.Perplexity, want.Tokens)
	}
}

// prefixes gives each token a logprob that says how many tokens of its window precede it.
type prefixes struct{}

func (prefixes) Score(_ context.Context, ids []int32) (out []float32, err error) {
	for i := range ids[1:] {
		out = append(out, -float32(i+1))
	}
	return out, nil
}

// TestWindows: every token but the first is scored once, and with at least half a window
// before it once the text is that long.
func TestWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, window := rapid.IntRange(2, 300).Draw(t, "tokens"), rapid.IntRange(2, 100).Draw(t, "window")
		atOnce := rapid.IntRange(0, 4).Draw(t, "at once")
		told := 0
		p, err := eval.Measure(context.Background(), prefixes{}, eval.Text{IDs: make([]int32, n)}, window, atOnce, func(int, int) { told++ })
		if err != nil || p.Tokens != n-1 || told != p.Windows {
			t.Fatalf("%+v of %d tokens, %d windows told, %v", p, n, told, err)
		}
		least, most := 0.0, 0.0
		for i := 1; i < n; i++ {
			least += float64(min(i, window/2))
			most += float64(min(i, window-1))
		}
		if p.NLL < least || p.NLL > most {
			t.Fatalf("%d tokens of context in all, must be from %v to %v", int(p.NLL), least, most)
		}
	})
}

// short gives too few logprobs; broken gives none.
type short struct{}
type broken struct{}

var errBroken = errors.New("no more")

func (short) Score(context.Context, []int32) ([]float32, error)  { return []float32{0}, nil }
func (broken) Score(context.Context, []int32) ([]float32, error) { return nil, errBroken }

func TestRefuses(t *testing.T) {
	ids := make([]int32, 100)
	for want, c := range map[string]struct {
		scorer eval.Scorer
		ids    []int32
		window int
	}{
		"window: 1 tokens": {prefixes{}, ids, 1},
		"text: 1 tokens":   {prefixes{}, ids[:1], 8},
		"1 logprobs, want": {short{}, ids, 8},
		"no more":          {broken{}, ids, 8},
	} {
		if _, err := eval.Measure(t.Context(), c.scorer, eval.Text{IDs: c.ids}, c.window, 2, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	i := open(t, tiny.GGUF(), "ref", model.Options{Context: 64})
	if _, err := eval.Measure(t.Context(), eval.Engine{Engine: i.Engine}, eval.Text{IDs: ids}, 100, 1, nil); err == nil || !strings.Contains(err.Error(), "context") {
		t.Errorf("a window that the engine has no room for: %v", err)
	}
}

func TestTokenise(t *testing.T) {
	i := open(t, tiny.GGUF(), "ref", model.Options{Context: 64})
	const text = "The cat is in the garden."
	if got := eval.Tokenise(i.Meta.Tokenizer, text); len(got.IDs) < 2 || got.Bytes > len(text) || got.Bytes < len(text)-10 {
		t.Errorf("%+v of %d bytes", got, len(text))
	}
	if got := eval.Tokenise(i.Meta.Tokenizer, ""); got.Bytes != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}
