package gpu

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// These tests need a GPU and what `make cuda` built, and skip without.

var goldenLimits = abi.Limits{MaxSlots: 4, MaxRows: 4, MaxTokens: 256, MaxPositions: 512, Pages: 32}

// device is the built library on a host that can run engines.
func device(t testing.TB) *Library {
	t.Helper()
	path, err := filepath.Abs("../../cuda/build/" + libraryName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not built: make cuda", path)
	}
	l, err := load([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Honours(); err != nil {
		t.Skip(err)
	}
	return l
}

func open(t testing.TB, path string) *model.Model {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// put plans, loads and finalises, and holds the engine to its footprint.
func put(t testing.TB, e *capi.Engine, m *model.Model, limits abi.Limits, change func(*abi.Tensor)) {
	t.Helper()
	if err := e.Plan(&m.Plan); err != nil {
		t.Fatal(err)
	}
	for tensor, err := range m.Tensors() {
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(tensor)
		}
		if err := e.PutTensor(tensor); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Finalise()
	if err != nil {
		t.Fatal(err)
	}
	want, err := model.Footprint(&m.Meta, limits, "cuda")
	if err != nil || got != want {
		t.Errorf("Finalise reports %+v, the footprint is %+v, %v", got, want, err)
	}
}

func start(t testing.TB, m *model.Model, limits abi.Limits) *capi.Engine {
	t.Helper()
	e, err := device(t).New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	put(t, e, m, limits, nil)
	return e
}

// caches are the types that K and V may be kept in, and how near to the reference logits
// then come.
var caches = []struct {
	dtype abi.DType
	least float64
}{{abi.BF16, 0.999}, {abi.E4M3, 0.99}}

// TestGolden compares every position of the tiny model with transformers, both from
// bfloat16 and from Q8_0, and every greedy text; prompts enter whole and in pieces. With
// KV in FP8 texts may differ from transformers', but not, with invariance, among pieces.
func TestGolden(t *testing.T) {
	device(t)
	for name, path := range map[string]string{golden.Tiny: tiny.Dir(), golden.TinyGGUF: tiny.GGUF()} {
		for _, cache := range caches {
			for _, invariant := range []bool{false, true} {
				limits := goldenLimits
				limits.Invariant, limits.KVDType = invariant, cache.dtype
				m := open(t, path)
				driver, least := &golden.Driver{Backend: start(t, m, limits)}, 1.0
				set, err := golden.Load(name)
				if err != nil {
					t.Fatal(err)
				}
				same, texts := 0, 0
				for _, p := range set.Prompts {
					logits, err := driver.Logits(p.IDs)
					if err != nil {
						t.Fatal(err)
					}
					for i := range logits {
						least = min(least, golden.Cosine(logits[i], p.Logits[i]))
					}
					var whole []int32
					for _, chunk := range []int{256, 7} {
						tokens, logits, err := driver.Greedy(p.IDs, 64, chunk, m.EOS)
						if err != nil {
							t.Fatal(err)
						}
						least = min(least, golden.Cosine(logits, p.Logits[len(p.IDs)-1]))
						if texts++; slices.Equal(tokens, p.Greedy) {
							same++
						} else if cache.dtype == abi.BF16 {
							t.Errorf("%s %.40q in pieces of %d: greedy %v, transformers %v", name, p.Text, chunk, tokens, p.Greedy)
						}
						if whole == nil {
							whole = tokens
						} else if invariant && !slices.Equal(tokens, whole) {
							t.Errorf("%s %.40q, KV in %v: greedy %v in pieces, %v whole", name, p.Text, cache.dtype, tokens, whole)
						}
					}
				}
				t.Logf("%s, KV in %v, invariant %v: least cosine %.7f, %d of %d texts as transformers'", name, cache.dtype, invariant, least, same, texts)
				if !(least >= cache.least) {
					t.Errorf("%s, KV in %v: least cosine %v, must be at least %v", name, cache.dtype, least, cache.least)
				}
			}
		}
	}
}

// shape is a Llama that exists as a configuration only.
type shape map[string]any

var (
	// wide has the layers of Qwen3-0.6B as a Llama, and few of them.
	wide = shape{"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 2, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 512}
	// odd has three heads a key-value head, biases and sizes that no tile divides.
	odd = shape{"hidden_size": 200, "intermediate_size": 328, "num_hidden_layers": 3, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 40, "vocab_size": 512,
		"attention_bias": true, "mlp_bias": true, "tie_word_embeddings": false}
)

// write makes a model directory of a shape: the tiny model's tokenizer, and weights
// from random, or a file of zeros where random is nil, which takes no room.
func (s shape) write(t testing.TB, random *rand.Rand) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"} {
		b, err := os.ReadFile(filepath.Join(tiny.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "config.json" {
			config := map[string]any{}
			if err := json.Unmarshal(b, &config); err != nil {
				t.Fatal(err)
			}
			for k, v := range s {
				config[k] = v
			}
			b, _ = json.Marshal(config)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.weights(t, filepath.Join(dir, "model.safetensors"), random)
	return dir
}

func (s shape) n(key string) int { n, _ := s[key].(int); return n }
func (s shape) is(key string, otherwise bool) bool {
	if b, ok := s[key].(bool); ok {
		return b
	}
	return otherwise
}

// tensors are names and dimensions in the order of the file.
func (s shape) tensors() (names []string, dims [][]int) {
	add := func(name string, d ...int) { names, dims = append(names, name), append(dims, d) }
	hidden, ffn, q, kv := s.n("hidden_size"), s.n("intermediate_size"), s.n("num_attention_heads")*s.n("head_dim"), s.n("num_key_value_heads")*s.n("head_dim")
	matrix := func(name string, bias bool, rows, cols int) {
		add(name+".weight", rows, cols)
		if bias {
			add(name+".bias", rows)
		}
	}
	matrix("model.embed_tokens", false, s.n("vocab_size"), hidden)
	for layer := range s.n("num_hidden_layers") {
		at := fmt.Sprintf("model.layers.%d", layer)
		attention, mlp := s.is("attention_bias", false), s.is("mlp_bias", false)
		add(at+".input_layernorm.weight", hidden)
		matrix(at+".self_attn.q_proj", attention, q, hidden)
		matrix(at+".self_attn.k_proj", attention, kv, hidden)
		matrix(at+".self_attn.v_proj", attention, kv, hidden)
		matrix(at+".self_attn.o_proj", attention, hidden, q)
		add(at+".post_attention_layernorm.weight", hidden)
		matrix(at+".mlp.gate_proj", mlp, ffn, hidden)
		matrix(at+".mlp.up_proj", mlp, ffn, hidden)
		matrix(at+".mlp.down_proj", mlp, hidden, ffn)
	}
	add("model.norm.weight", hidden)
	if !s.is("tie_word_embeddings", true) {
		matrix("lm_head", false, s.n("vocab_size"), hidden)
	}
	return names, dims
}

func (s shape) weights(t testing.TB, path string, random *rand.Rand) {
	t.Helper()
	header, at := map[string]any{}, 0
	names, dims := s.tensors()
	var sizes []int
	for i, name := range names {
		n := 1
		for _, d := range dims[i] {
			n *= d
		}
		header[name] = map[string]any{"dtype": "BF16", "shape": dims[i], "data_offsets": []int{at, at + 2*n}}
		at += 2 * n
		sizes = append(sizes, n)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	for len(text)%8 != 0 { // data are aligned in the file
		text = append(text, ' ')
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
	f.Write(text)
	if random == nil {
		if err := f.Truncate(int64(8 + len(text) + at)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, n := range sizes {
		spread, mean := 1.0, 0.0
		if d := dims[i]; len(d) == 2 && names[i] != "model.embed_tokens.weight" {
			spread = 1 / math.Sqrt(float64(d[1]))
		} else if len(d) == 1 {
			spread = 0.1
			if filepath.Ext(names[i]) == ".weight" {
				mean = 1
			}
		}
		b := make([]byte, 2*n)
		for j := range n {
			v := float32(mean + spread*random.NormFloat64())
			binary.LittleEndian.PutUint16(b[2*j:], uint16(math.Float32bits(v)>>16))
		}
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRandomShapes compares with the reference on random weights, at prompts that
// cross pages, whole, in pieces and token by token.
func TestRandomShapes(t *testing.T) {
	device(t)
	for name, s := range map[string]shape{"wide": wide, "odd": odd} {
		random := rand.New(rand.NewPCG(4, 2))
		m := open(t, s.write(t, random))
		limits := abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 256, MaxPositions: 512, Pages: 8}
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
			if err := oracle.PutTensor(tensor); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := oracle.Finalise(); err != nil {
			t.Fatal(err)
		}
		want, least := &golden.Driver{Backend: oracle}, make([]float64, len(caches))
		var got []*golden.Driver
		for i, cache := range caches {
			limits.KVDType, least[i] = cache.dtype, 1
			got = append(got, &golden.Driver{Backend: start(t, m, limits)})
		}
		for _, n := range []int{1, 63, 64, 65, 200} {
			prompt := make([]int32, n)
			for i := range prompt {
				prompt[i] = int32(random.IntN(512))
			}
			_, expect, err := want.Greedy(prompt, 1, 256, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, chunk := range []int{256, 67, 13, 1} {
				for i := range got {
					_, logits, err := got[i].Greedy(prompt, 1, chunk, nil)
					if err != nil {
						t.Fatal(err)
					}
					least[i] = min(least[i], golden.Cosine(logits, expect))
				}
			}
		}
		for i, cache := range caches {
			t.Logf("%s, KV in %v: least cosine %.6f", name, cache.dtype, least[i])
			if !(least[i] >= cache.least) {
				t.Errorf("%s, KV in %v: least cosine %v, must be at least %v", name, cache.dtype, least[i], cache.least)
			}
		}
	}
}

// scene is one slot's sampling and what it should have chosen.
type scene struct {
	slot abi.Slot
	mask []uint32
	late bool
}

func randomScene(r *rand.Rand, n int) scene {
	pick := func(values ...float32) float32 { return values[r.IntN(len(values))] }
	s := scene{slot: abi.Slot{PromptLen: 20, Seed: r.Uint64(), Choice: r.Uint32N(3), Sampling: abi.Sampling{
		Temperature: pick(0, 0.3, 1, 2.5, 20), TopP: pick(1, 1, 0.9, 0.3), MinP: pick(0, 0, 0.05, 0.5), TypicalP: pick(1, 1, 0.8, 0.2),
		TopK: uint32(pick(0, 0, 1, 5, 100)), Presence: pick(0, 0, 0.7), Frequency: pick(0, 0, 0.4), Repetition: pick(1, 1, 1.3),
		Logprobs: r.IntN(2) == 0, TopLogprobs: uint32(pick(0, 0, 5, 20)),
	}}}
	if r.IntN(3) == 0 {
		s.slot.MinPosition, s.slot.EOS = uint32(n+2), []int32{2, 7}
	}
	for range r.IntN(4) {
		s.slot.Biases = append(s.slot.Biases, abi.Bias{Token: r.Int32N(tiny.Vocab), Bias: pick(-100, 3, 8)})
	}
	if r.IntN(3) == 0 {
		s.mask, s.late = make([]uint32, tiny.Vocab/32), r.IntN(2) == 0
		for i := range s.mask {
			s.mask[i] = r.Uint32() & r.Uint32()
		}
	}
	return s
}

// TestSampling holds every choice to engine/sample's on the logits that the device
// itself computed: same token, same logprob, same alternatives.
func TestSampling(t *testing.T) {
	m := open(t, tiny.GGUF())
	limits := abi.Limits{MaxSlots: 8, MaxRows: 8, MaxTokens: 256, MaxPositions: 256, Pages: 32}
	e := start(t, m, limits)
	r := rand.New(rand.NewPCG(7, 7))
	seq, differ, total := uint64(0), 0, 0
	for round := range 40 {
		scenes := make([]scene, limits.MaxSlots)
		histories := make([][]int32, limits.MaxSlots)
		for i := range scenes {
			scenes[i] = randomScene(r, 20)
			scenes[i].slot.Slot = uint32(i)
			if err := e.OpenSlot(&scenes[i].slot); err != nil {
				t.Fatal(err)
			}
			if scenes[i].mask != nil {
				if err := e.DefineMask(uint32(i+1), scenes[i].mask); err != nil {
					t.Fatal(err)
				}
			}
		}
		for turn := range 5 {
			seq++
			step := &abi.Step{Seq: seq}
			var late []abi.RowMask
			for i, s := range scenes {
				row := abi.Row{Slot: uint32(i), Tokens: 1, Flags: abi.RowSample | abi.RowLogits | abi.RowContinue}
				if turn == 0 {
					row.Tokens, row.Flags = 20, abi.RowSample|abi.RowLogits
					for range 20 {
						histories[i] = append(histories[i], r.Int32N(tiny.Vocab))
					}
					step.Tokens = append(step.Tokens, histories[i]...)
					step.Pages = append(step.Pages, abi.PageDelta{Slot: uint32(i), Page: uint32((i*5 + round) % 32)})
				}
				if s.mask != nil && s.late {
					row.Flags |= abi.RowLateMask
					late = append(late, abi.RowMask{Row: uint32(i), MaskID: uint32(i + 1)})
				} else if s.mask != nil {
					row.MaskID = uint32(i + 1)
				}
				step.Rows = append(step.Rows, row)
			}
			if err := e.Submit(step); err != nil {
				t.Fatal(err)
			}
			var result abi.Result
			if len(late) > 0 {
				if err := e.Wait(seq, &result, time.Millisecond); err == nil {
					t.Fatal("a step ended before its masks came")
				}
				if err := e.Sample(seq, late); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Wait(seq, &result, time.Minute); err != nil {
				t.Fatal(err)
			}
			for i, s := range scenes {
				logits := result.Aux[i*tiny.Vocab:][:tiny.Vocab]
				want, _ := sample.Choose(&sample.Row{Logits: logits, History: histories[i], Prompt: 20, Mask: s.mask, Slot: &s.slot})
				got := result.Rows[i]
				total++
				if got.Accepted != 1 || got.Tokens[0] != want {
					differ++
					t.Logf("round %d turn %d slot %d: token %d, engine/sample %d: %+v", round, turn, i, got.Tokens[0], want, s.slot)
				}
				histories[i] = append(histories[i], got.Tokens[0])
				compareLogprobs(t, &got, logits, &s.slot.Sampling)
			}
		}
		for i := range scenes {
			if err := e.CloseSlot(uint32(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d of %d choices differ", differ, total)
	if differ > total/500 {
		t.Errorf("%d of %d choices differ, at most 2 in 1000 may fall on the edge of a cut", differ, total)
	}
}

func compareLogprobs(t *testing.T, got *abi.ResultRow, logits []float32, p *abi.Sampling) {
	t.Helper()
	if p.Logprobs {
		if want := sample.Logprob(logits, got.Tokens[0]); math.Abs(float64(got.Logprobs[0]-want)) > 1e-4 {
			t.Errorf("logprob %v, want %v: %+v", got.Logprobs[0], want, *p)
		}
	}
	tokens, logprobs := sample.Top(logits, int(p.TopLogprobs))
	if int(got.Top) != len(tokens) {
		t.Errorf("%d alternatives, want %d", got.Top, len(tokens))
		return
	}
	for i := range tokens {
		if got.TopTokens[i] != tokens[i] || math.Abs(float64(got.TopLogprobs[i]-logprobs[i])) > 1e-4 {
			t.Errorf("alternative %d is %d at %v, want %d at %v", i, got.TopTokens[i], got.TopLogprobs[i], tokens[i], logprobs[i])
		}
	}
}
