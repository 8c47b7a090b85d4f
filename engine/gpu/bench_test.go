package gpu

import (
	"fmt"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
)

// large has the true shape of Qwen3-0.6B as a Llama; its weights are made on the device.
var large = shape{"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
	"head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 8192}

// peak is what an H100 reads in practice, in bytes a second.
const peak = 3.09e12

// synthetic puts random weights of the large shape.
func synthetic(b *testing.B, limits abi.Limits) (*capi.Engine, uint64) {
	b.Helper()
	l := device(b)
	m := open(b, large.write(b, nil))
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
	return e, 2 * m.Params
}

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

// fill opens n slots from first on and feeds each a prompt.
func (r *runner) fill(first, n, prompt, room int, temperature float32) {
	pages := (room + abi.PageLen - 1) / abi.PageLen
	for slot := first; slot < first+n; slot++ {
		s := &abi.Slot{Slot: uint32(slot), PromptLen: uint32(prompt), Seed: uint64(slot), Sampling: abi.Sampling{Temperature: temperature, TopP: 1, TypicalP: 1, Repetition: 1}}
		if err := r.e.OpenSlot(s); err != nil {
			r.b.Fatal(err)
		}
		step := &abi.Step{Rows: []abi.Row{{Slot: uint32(slot), Tokens: uint32(prompt), Flags: abi.RowSample}}}
		for i := range pages {
			step.Pages = append(step.Pages, abi.PageDelta{Slot: uint32(slot), Index: uint32(i), Page: uint32(slot*pages + i)})
		}
		for i := range prompt {
			step.Tokens = append(step.Tokens, int32(i*31+slot))
		}
		r.submit(step)
		r.wait(r.seq)
	}
}

// BenchmarkDecode is tokens a second of a batch that decodes, sampling on the device.
func BenchmarkDecode(b *testing.B) {
	const prompt, steps = 512, 128
	for _, batch := range []int{1, 16, 64, 256} {
		for _, temperature := range []float32{0, 0.7} {
			b.Run(fmt.Sprintf("batch=%d/temperature=%v", batch, temperature), func(b *testing.B) {
				pages := (prompt + steps + abi.PageLen) / abi.PageLen
				limits := abi.Limits{MaxSlots: uint32(batch), MaxRows: uint32(batch), MaxTokens: 2048, MaxPositions: 8192, Pages: uint32(batch * pages)}
				e, weights := synthetic(b, limits)
				r := &runner{b: b, e: e}
				r.fill(0, batch, prompt, prompt+steps, temperature)
				r.device = 0
				began := time.Now()
				for i := range steps {
					step := &abi.Step{}
					for slot := range batch {
						step.Rows = append(step.Rows, abi.Row{Slot: uint32(slot), Tokens: 1, Flags: abi.RowSample | abi.RowContinue})
					}
					r.submit(step)
					if i > 0 {
						r.wait(r.seq - 1)
					}
				}
				r.wait(r.seq)
				took := time.Since(began).Seconds() / steps
				kv := float64(batch) * (prompt + steps/2) * 28 * 2 * 1024 * 2
				bound := (float64(weights) + kv) / peak
				b.ReportMetric(float64(batch)/took, "tok/s")
				b.ReportMetric(took*1e3, "ms/step")
				b.ReportMetric(r.device.Seconds()/steps*1e3, "device-ms/step")
				b.ReportMetric((float64(weights)+kv)/took/1e9, "GB/s")
				b.ReportMetric(100*bound/took, "%bound")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkPrefill is the time to the first token of one prompt.
func BenchmarkPrefill(b *testing.B) {
	for _, prompt := range []int{1024, 4096} {
		b.Run(fmt.Sprintf("prompt=%d", prompt), func(b *testing.B) {
			limits := abi.Limits{MaxSlots: 8, MaxRows: 8, MaxTokens: 4096, MaxPositions: 8192, Pages: uint32(8 * prompt / abi.PageLen)}
			e, weights := synthetic(b, limits)
			r := &runner{b: b, e: e}
			r.fill(0, 4, prompt, prompt, 0)
			r.device = 0
			r.fill(4, 4, prompt, prompt, 0)
			took := r.device.Seconds() / 4
			flops := float64(weights) * float64(prompt) // 2 a weight, without attention and but for the head
			b.ReportMetric(took*1e3, "ms")
			b.ReportMetric(float64(prompt)/took, "tok/s")
			b.ReportMetric(flops/took/1e12, "TFLOP/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
