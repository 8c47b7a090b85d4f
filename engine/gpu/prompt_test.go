package gpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// feeder puts prompts into slots piece by piece, one step at a time.
type feeder struct {
	t   *testing.T
	e   *capi.Engine
	seq uint64
}

// feed opens a slot on its own pages and gives the results of each piece.
func (f *feeder) feed(slot int, prompt []int32, chunk int, flags abi.RowFlag) (results []abi.Result) {
	f.t.Helper()
	s := &abi.Slot{Slot: uint32(slot), PromptLen: uint32(len(prompt)), Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1, PromptTop: 5}}
	if err := f.e.OpenSlot(s); err != nil {
		f.t.Fatal(err)
	}
	for at := 0; at < len(prompt); at += chunk {
		end := min(at+chunk, len(prompt))
		row := abi.Row{Slot: uint32(slot), Tokens: uint32(end - at), Flags: flags, Next: -1}
		if end < len(prompt) {
			row.Next = prompt[end]
		}
		f.seq++
		step := &abi.Step{Seq: f.seq, Rows: []abi.Row{row}, Tokens: prompt[at:end]}
		for i := (at + abi.PageLen - 1) / abi.PageLen; i*abi.PageLen < end; i++ {
			step.Pages = append(step.Pages, abi.PageDelta{Slot: uint32(slot), Index: uint32(i), Page: uint32(slot*8 + i)})
		}
		if err := f.e.Submit(step); err != nil {
			f.t.Fatal(err)
		}
		var r abi.Result
		if err := f.e.Wait(f.seq, &r, time.Minute); err != nil {
			f.t.Fatal(err)
		}
		results = append(results, r)
	}
	if err := f.e.CloseSlot(uint32(slot)); err != nil {
		f.t.Fatal(err)
	}
	return results
}

func somePrompt(n int) []int32 {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = r.Int32N(tiny.Vocab)
	}
	return ids
}

// TestPromptLogprobs holds what a prompt's pieces report to the logits of its tokens one
// by one: with invariance the same logits, without it nearly the same.
func TestPromptLogprobs(t *testing.T) {
	for _, kind := range []struct {
		invariant bool
		kv        abi.DType
	}{{true, abi.BF16}, {false, abi.BF16}, {true, abi.E4M3}} {
		limits, invariant := goldenLimits, kind.invariant
		limits.Invariant, limits.KVDType = invariant, kind.kv
		f := &feeder{t: t, e: start(t, open(t, tiny.GGUF()), limits)}
		prompt := somePrompt(150)
		one := f.feed(0, prompt, 1, abi.RowSample|abi.RowLogits)
		for _, chunk := range []int{1, 7, 64, 150} {
			var got []abi.PromptLogprob
			for _, r := range f.feed(1, prompt, chunk, abi.RowPromptLogprobs|abi.RowSample) {
				got = append(got, r.Prompt...)
			}
			if len(got) != len(prompt)-1 {
				t.Fatalf("pieces of %d: %d tokens have a next one, %d are reported", chunk, len(prompt)-1, len(got))
			}
			for i, g := range got {
				logits := one[i].Aux
				rank := uint32(1)
				for _, l := range logits {
					if l > logits[prompt[i+1]] {
						rank++
					}
				}
				tokens, logprobs := sample.Top(logits, 5)
				want := sample.Logprob(logits, prompt[i+1])
				if off := math.Abs(float64(g.Logprob - want)); off > 0.1 || invariant && off > 1e-4 {
					t.Errorf("pieces of %d, token %d: logprob %v, want %v", chunk, i, g.Logprob, want)
				}
				if invariant && (g.Rank != rank || !slices.Equal(g.TopTokens[:g.Top], tokens) || math.Abs(float64(g.TopLogprobs[0]-logprobs[0])) > 1e-4) {
					t.Errorf("pieces of %d, token %d: rank %d and %v, want %d and %v", chunk, i, g.Rank, g.TopTokens[:g.Top], rank, tokens)
				}
			}
		}
	}
}

// TestPool holds pooled states to the logits that the head makes of them, and sums to
// the states one by one.
func TestPool(t *testing.T) {
	limits := goldenLimits
	limits.Invariant = true
	m := open(t, tiny.Dir())
	f := &feeder{t: t, e: start(t, m, limits)}
	prompt, width := somePrompt(90), m.Plan.PoolWidth()
	logits, states := f.feed(0, prompt, 1, abi.RowSample|abi.RowLogits), f.feed(1, prompt, 1, abi.RowPool)
	head := headWeights(t, m.Tensors())
	for i, s := range states {
		if len(s.Aux) != width {
			t.Fatalf("%d floats, the head reads %d", len(s.Aux), width)
		}
		for token := range tiny.Vocab {
			var sum float64
			for d, v := range s.Aux {
				sum += float64(v) * float64(head[token*width+d])
			}
			if math.Abs(sum-float64(logits[i].Aux[token])) > 1e-3 {
				t.Fatalf("token %d: the state gives logit %v of %d, the head %v", i, sum, token, logits[i].Aux[token])
			}
		}
	}
	for _, chunk := range []int{1, 13, 90} {
		at := 0
		for _, r := range f.feed(2, prompt, chunk, abi.RowPool|abi.RowPoolSum) {
			want := make([]float32, width)
			for range min(chunk, len(prompt)-at) {
				for d, v := range states[at].Aux {
					want[d] += v
				}
				at++
			}
			if !slices.Equal(r.Aux, want) {
				t.Fatalf("pieces of %d: the sum up to %d is %v, want %v", chunk, at, r.Aux[:4], want[:4])
			}
		}
		last := f.feed(2, prompt, chunk, abi.RowPool)
		if !slices.Equal(last[len(last)-1].Aux, states[len(states)-1].Aux) {
			t.Errorf("pieces of %d: another state at the end", chunk)
		}
	}
}

// headWeights are those of the tensor with a row for each token.
func headWeights(t *testing.T, tensors func(func(*abi.Tensor, error) bool)) (head []float32) {
	t.Helper()
	for tensor, err := range tensors {
		if err != nil {
			t.Fatal(err)
		}
		if tensor.Rows == tiny.Vocab {
			head = make([]float32, tensor.Rows*tensor.Cols)
			if err := weights.Dequantise(tensor.DType, tensor.Data, head); err != nil {
				t.Fatal(err)
			}
		}
	}
	return head
}

// quantised has rows of whole K-quant blocks.
var quantised = shape{"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 512}

// halves are where a block of a type holds its scales in binary16.
var halves = map[abi.DType][]int{abi.Q8_0: {0}, abi.Q4_0: {0}, abi.Q4_1: {0, 2}, abi.Q5_0: {0}, abi.Q5_1: {0, 2}, abi.Q2_K: {80, 82}, abi.Q3_K: {108}, abi.Q4_K: {0, 2}, abi.Q5_K: {0, 2}, abi.Q6_K: {208}}

// randomBlocks fills a matrix with any blocks whose scales are small.
func randomBlocks(r *rand.Rand, dtype abi.DType, n int) []byte {
	block, size := dtype.Block()
	data := make([]byte, n/block*size)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for at := 0; at < len(data); at += size {
		for _, h := range halves[dtype] {
			data[at+h+1] = 0x10 // about 2^-11
		}
	}
	return data
}

// rounded are weights as bfloat16.
func rounded(t *testing.T, dtype abi.DType, data []byte, n int) []byte {
	t.Helper()
	values, out := make([]float32, n), make([]byte, 2*n)
	if err := weights.Dequantise(dtype, data, values); err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		bits := math.Float32bits(v)
		bits = (bits + 0x7fff + bits>>16&1) >> 16
		out[2*i], out[2*i+1] = byte(bits), byte(bits>>8)
	}
	return out
}

// TestQuantisedWeights loads every block type as it is and as engine/weights decodes it:
// the logits have the same bits.
func TestQuantisedWeights(t *testing.T) {
	device(t)
	m := open(t, quantised.write(t, rand.New(rand.NewPCG(5, 5))))
	limits := abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 64, MaxPositions: 64, Pages: 1}
	for dtype := range halves {
		var logits [2][]float32
		for i := range logits {
			r := rand.New(rand.NewPCG(uint64(dtype), 1))
			e, err := device(t).New(limits)
			if err != nil {
				t.Fatal(err)
			}
			put(t, e, m, limits, func(tensor *abi.Tensor) {
				if tensor.Rows == 1 {
					return
				}
				n := int(tensor.Rows * tensor.Cols)
				tensor.DType, tensor.Data = dtype, randomBlocks(r, dtype, n)
				if i == 1 {
					tensor.DType, tensor.Data = abi.BF16, rounded(t, dtype, tensor.Data, n)
				}
			})
			if _, logits[i], err = (&golden.Driver{Backend: e}).Greedy(somePrompt(40), 1, 40, nil); err != nil {
				t.Fatal(err)
			}
			e.Close()
		}
		if !slices.Equal(logits[0], logits[1]) {
			t.Errorf("%v: other logits than of the weights that engine/weights decodes", dtype)
		}
	}
}
