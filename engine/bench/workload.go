package bench

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// Length of one request, tokens.
type Length struct{ In, Out int }

// Kind is what a workload is asked for.
type Kind string

// Kinds.
const (
	NanoVLLM Kind = "nano-vllm" // 256 requests at once, 100 to 1,024 tokens in and out
	Decode   Kind = "decode"    // a batch of one shape; figures of the time when all of it decodes
	Prefill  Kind = "prefill"   // a batch of prompts; time to the first token
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{NanoVLLM, Decode, Prefill} }

// Workload is submitted at once.
type Workload struct {
	Kind        Kind
	Lengths     []Length
	Temperature float32
}

// lengths are those of nano-vLLM's bench (lengths.py).
//
//go:embed lengths.txt
var lengths string

// New makes a workload; batch, in and out are not asked of the one with its own lengths.
func New(kind Kind, batch, in, out int) (Workload, error) {
	const temperature, mostBatch, mostTokens = 0.6, 1024, 1 << 20
	w := Workload{Kind: kind, Temperature: temperature}
	switch {
	case kind == NanoVLLM:
		w.Lengths = nanoVLLM()
		return w, nil
	case kind != Decode && kind != Prefill:
		return w, fmt.Errorf("workload: %q, must be one of %v", kind, Kinds())
	case batch < 1 || batch > mostBatch:
		return w, fmt.Errorf("batch: %d, must be from 1 to %d", batch, mostBatch)
	case in < 1 || in > mostTokens:
		return w, fmt.Errorf("input: %d tokens, must be from 1 to %d", in, mostTokens)
	case kind == Prefill:
		out = 1
	case out < 2 || out > mostTokens:
		return w, fmt.Errorf("output: %d tokens, must be from 2 to %d, since the first comes of the prompt", out, mostTokens)
	}
	for range batch {
		w.Lengths = append(w.Lengths, Length{in, out})
	}
	return w, nil
}

func nanoVLLM() (out []Length) {
	for line := range strings.Lines(lengths) {
		var l Length
		if _, err := fmt.Sscan(line, &l.In, &l.Out); err == nil {
			out = append(out, l)
		}
	}
	return out
}

// Longest sequence, tokens.
func (w *Workload) Longest() (n int) {
	for _, l := range w.Lengths {
		n = max(n, l.In+l.Out)
	}
	return n
}

// Size gives options with which all of the workload runs at once.
func (w *Workload) Size(m *model.Meta, backend string, o model.Options) (model.Options, error) {
	o.Context, o.MaxRunning = uint32(w.Longest())+1, uint32(len(w.Lengths))
	if o.Context > m.Context {
		return o, fmt.Errorf("workload: sequences of %d tokens, the model was made for %d", o.Context-1, m.Context-1)
	}
	_, position, err := model.ReadBytes(m, abi.Limits{Quant: o.Quant, KVDType: o.KVDType}, backend)
	if err != nil {
		return o, err
	}
	pages := uint64(1)
	for _, l := range w.Lengths {
		pages += uint64((l.In + l.Out + abi.PageLen) / abi.PageLen)
	}
	o.KVBytes = max(pages, uint64(o.Context+abi.PageLen-1)/abi.PageLen) * position * abi.PageLen
	return o, nil
}

// short is the workload with at most n tokens of answer: to warm up with.
func (w *Workload) short(n int) Workload {
	out := *w
	out.Lengths = nil
	for _, l := range w.Lengths {
		out.Lengths = append(out.Lengths, Length{l.In, min(l.Out, n)})
	}
	return out
}

// bound is the least time, in seconds, that reading takes at bandwidth bytes a second:
// of the whole workload, whose every step reads the weights and each sequence's KV once.
// What the prompts cost is left out.
func (w *Workload) bound(weights, position uint64, bandwidth float64) float64 {
	steps, read := 0, 0.0
	for _, l := range w.Lengths {
		n := float64(l.Out - 1)
		steps = max(steps, l.Out-1)
		read += n * (float64(l.In) + (n+1)/2) * float64(position)
	}
	return (float64(steps)*float64(weights) + read) / bandwidth
}
