package gpu

import (
	_ "embed"
	"fmt"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// The true shapes of two models, as Llamas; their weights are made on the device.
var (
	qwen06B = shape{"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
		"head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 8192}
	qwen8B = shape{"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
		"head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 8192, "tie_word_embeddings": false}
	shapes = []struct {
		name string
		shape
	}{{"0.6B", qwen06B}, {"8B", qwen8B}}
)

// peak is what an H100 reads in practice, in bytes a second.
const peak = 3.09e12

// synthetic makes an engine with random weights of a shape.
func synthetic(b *testing.B, s shape, limits abi.Limits) (*capi.Engine, *model.Model) {
	b.Helper()
	l := device(b)
	m := open(b, s.write(b, nil))
	e, err := l.New(limits)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	seed := uint64(0)
	put(b, e, m, limits, func(t *abi.Tensor) {
		seed++
		t.DType, t.SynthSeed, t.Data = abi.Synth, seed, nil
	})
	return e, m
}

// read is what a step reads of a shape's weights: all but the embedding's other rows.
func (s shape) read(quant abi.Quant) (bytes float64) {
	names, dims := s.tensors()
	for i, name := range names {
		embedding := name == "model.embed_tokens.weight"
		if embedding && !s.is("tie_word_embeddings", true) {
			continue
		}
		each := 2.0
		if len(dims[i]) == 2 && !embedding {
			each = map[abi.Quant]float64{abi.QuantNone: 2, abi.QuantFP8: 1, abi.QuantInt4: 0.5 + 4.0/128}[quant]
			if name == "lm_head.weight" && quant == abi.QuantInt4 {
				each = 1
			}
		}
		for _, d := range dims[i] {
			each *= float64(d)
		}
		bytes += each
	}
	return bytes
}

// kv is what a position takes.
func (s shape) kv(dtype abi.DType) float64 {
	each := 2 * s.n("head_dim")
	if dtype == abi.E4M3 {
		each = s.n("head_dim") + 1 // a scale
	}
	return 2 * float64(s.n("num_hidden_layers")*s.n("num_key_value_heads")*each)
}

// kvs are the types of K and V by how benches are named for them.
var kvs = []struct {
	name  string
	dtype abi.DType
}{{"", abi.BF16}, {"/kv8", abi.E4M3}}

// runner submits steps with one in flight behind the other.
type runner struct {
	b      *testing.B
	e      *capi.Engine
	seq    uint64
	device time.Duration // what the steps took on the device
	result abi.Result
}

func (r *runner) submit(s *abi.Step) {
	r.seq++
	s.Seq = r.seq
	if err := r.e.Submit(s); err != nil {
		r.b.Fatal(err)
	}
}

func (r *runner) wait(seq uint64) {
	if err := r.e.Wait(seq, &r.result, time.Minute); err != nil {
		r.b.Fatal(err)
	}
	r.device += time.Duration(r.result.ComputeNS)
}

// fill opens n slots from first on and feeds each a prompt, `together` in a step.
func (r *runner) fill(first, n, together, prompt, room int, temperature float32) {
	pages := (room + abi.PageLen - 1) / abi.PageLen
	for at := first; at < first+n; at += together {
		step := &abi.Step{}
		for slot := at; slot < min(at+together, first+n); slot++ {
			s := &abi.Slot{Slot: uint32(slot), PromptLen: uint32(prompt), Seed: uint64(slot), Sampling: abi.Sampling{Temperature: temperature, TopP: 1, TypicalP: 1, Repetition: 1}}
			if err := r.e.OpenSlot(s); err != nil {
				r.b.Fatal(err)
			}
			step.Rows = append(step.Rows, abi.Row{Slot: uint32(slot), Tokens: uint32(prompt), Flags: abi.RowSample})
			for i := range pages {
				step.Pages = append(step.Pages, abi.PageDelta{Slot: uint32(slot), Index: uint32(i), Page: uint32(slot*pages + i)})
			}
			for i := range prompt {
				step.Tokens = append(step.Tokens, int32(i*31+slot))
			}
		}
		r.submit(step)
		r.wait(r.seq)
	}
}

// cell is one decode figure.
type cell struct {
	batch, prompt, steps int
	temperature          float32
}

var cells = map[string][]cell{
	"0.6B": {{1, 512, 128, 0}, {1, 512, 128, 0.7}, {8, 512, 128, 0.7}, {16, 512, 128, 0.7}, {32, 512, 128, 0.7}, {64, 512, 128, 0.7}, {128, 512, 128, 0.7},
		{256, 512, 128, 0}, {256, 512, 128, 0.7}, {256, 128, 256, 0.7}, {1, 4096, 64, 0}},
	"8B": {{1, 512, 128, 0.7}, {8, 512, 128, 0.7}, {32, 512, 128, 0.7}, {128, 512, 128, 0.7}},
}

// quants are how matrices are kept, by how benches are named for them.
var quants = []struct {
	name  string
	quant abi.Quant
}{{"", abi.QuantNone}, {"/fp8", abi.QuantFP8}, {"/int4", abi.QuantInt4}}

// BenchmarkDecode is tokens a second of a batch that decodes, sampling on the device.
func BenchmarkDecode(b *testing.B) {
	for _, s := range shapes {
		for _, c := range cells[s.name] {
			for _, q := range quants {
				for _, kv := range kvs {
					b.Run(fmt.Sprintf("%s%s%s/batch=%d/prompt=%d/temperature=%v", s.name, q.name, kv.name, c.batch, c.prompt, c.temperature), func(b *testing.B) { decode(b, s.shape, c, q.quant, kv.dtype) })
				}
			}
		}
	}
}

func decode(b *testing.B, s shape, c cell, quant abi.Quant, kv abi.DType) {
	pages := (c.prompt + c.steps + abi.PageLen) / abi.PageLen
	limits := abi.Limits{MaxSlots: uint32(c.batch), MaxRows: uint32(c.batch), MaxTokens: 8192, MaxPositions: 8192, Pages: uint32(c.batch * pages), Quant: quant, KVDType: kv}
	e, _ := synthetic(b, s, limits)
	r := &runner{b: b, e: e}
	r.fill(0, c.batch, 8192/c.prompt, c.prompt, c.prompt+c.steps, c.temperature)
	r.device = 0
	began := time.Now()
	for i := range c.steps {
		step := &abi.Step{}
		for slot := range c.batch {
			step.Rows = append(step.Rows, abi.Row{Slot: uint32(slot), Tokens: 1, Flags: abi.RowSample | abi.RowContinue})
		}
		r.submit(step)
		if i > 0 {
			r.wait(r.seq - 1)
		}
	}
	r.wait(r.seq)
	took := time.Since(began).Seconds() / float64(c.steps)
	read := s.read(quant) + float64(c.batch)*float64(c.prompt+c.steps/2)*s.kv(kv)
	b.ReportMetric(float64(c.batch)/took, "tok/s")
	b.ReportMetric(took*1e3, "ms/step")
	b.ReportMetric(r.device.Seconds()/float64(c.steps)*1e3, "device-ms/step")
	b.ReportMetric(read/took/1e9, "GB/s")
	b.ReportMetric(100*read/peak/took, "%bound")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPrefill is the time of a step that takes in prompts.
func BenchmarkPrefill(b *testing.B) {
	for _, s := range shapes {
		for _, c := range []struct{ prompts, prompt int }{{1, 128}, {1, 1024}, {1, 4096}, {16, 1024}} {
			for _, q := range quants {
				b.Run(fmt.Sprintf("%s%s/prompts=%dx%d", s.name, q.name, c.prompts, c.prompt), func(b *testing.B) {
					const times = 4
					n := c.prompts * times
					limits := abi.Limits{MaxSlots: uint32(n), MaxRows: uint32(n), MaxTokens: uint32(c.prompts * c.prompt), MaxPositions: 8192, Pages: uint32(n * c.prompt / abi.PageLen), Quant: q.quant}
					e, m := synthetic(b, s.shape, limits)
					r := &runner{b: b, e: e}
					r.fill(0, c.prompts, c.prompts, c.prompt, c.prompt, 0)
					r.device = 0
					r.fill(c.prompts, n-c.prompts, c.prompts, c.prompt, c.prompt, 0)
					took := r.device.Seconds() / (times - 1)
					layers := float64(m.Params) - float64(s.n("vocab_size")*s.n("hidden_size"))
					if !s.is("tie_word_embeddings", true) {
						layers -= float64(s.n("vocab_size") * s.n("hidden_size"))
					}
					tokens := float64(c.prompts * c.prompt)
					b.ReportMetric(took*1e3, "ms")
					b.ReportMetric(tokens/took, "tok/s")
					b.ReportMetric(2*layers*tokens/took/1e12, "TFLOP/s") // without attention and head
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}
