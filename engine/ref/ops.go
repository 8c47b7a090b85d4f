package ref

import (
	"math"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// orOne reads a scale: zero means one.
func orOne(scale float32) float64 {
	if scale == 0 {
		return 1
	}
	return float64(scale)
}

// dot is the inner product, summed in float64 in four interleaved lanes. The race
// detector watches the first elements alone: all of them would take most of its time.
func dot(a, b []float32) float64 {
	watch(a)
	watch(b)
	return lanes(a, b)
}

//go:norace
func lanes(a, b []float32) float64 {
	var s0, s1, s2, s3 float64
	n := len(a) &^ 3
	b = b[:len(a)]
	for i := 0; i < n; i += 4 {
		s0 += float64(a[i]) * float64(b[i])
		s1 += float64(a[i+1]) * float64(b[i+1])
		s2 += float64(a[i+2]) * float64(b[i+2])
		s3 += float64(a[i+3]) * float64(b[i+3])
	}
	for i := n; i < len(a); i++ {
		s0 += float64(a[i]) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// embed: out[t] = scale * weight[token[t]].
func (p *pass) embed(op *boundOp) {
	scale := orOne(op.Scale)
	for t, token := range p.job.tokens {
		out := p.row(op.Out, t)
		for i, w := range op.weights[0].row(int(token)) {
			out[i] = float32(scale * float64(w))
		}
	}
}

// norm: out = in / rms(in) * weight. From a token buffer to a sampled one it takes
// the rows that sample.
func (p *pass) norm(op *boundOp) {
	weight, from, to := op.weights[0], p.buffer(op.In), p.buffer(op.Out)
	for r := range p.rowsIn(to) {
		source := r
		if to.SampledRows && !from.SampledRows {
			source = p.sampled[r]
		}
		rmsNorm(p.row(op.Out, r), p.row(op.In, source), weight, op.NormEps, op.NormPlusOne)
	}
}

func (p *pass) buffer(id uint32) abi.Buffer {
	for _, b := range p.plan.Buffers {
		if b.ID == id {
			return b
		}
	}
	return abi.Buffer{}
}

func (p *pass) rowsIn(b abi.Buffer) int {
	if b.SampledRows {
		return len(p.sampled)
	}
	return len(p.tokens)
}

// rmsNorm: out = in / sqrt(mean(in^2) + eps) * weight; in and out may be the same.
// A nil weight is ones.
func rmsNorm(out, in []float32, weight *matrix, eps float32, plusOne bool) {
	inverse := 1 / math.Sqrt(dot(in, in)/float64(len(in))+float64(eps))
	for i, x := range in {
		w := 1.0
		if weight != nil {
			w = float64(weight.data[i])
		}
		if plusOne {
			w++
		}
		out[i] = float32(float64(x) * inverse * w)
	}
}

// linear calls put(row, feature, x * w^T + bias) for the first rows of buffer in.
func (p *pass) linear(in uint32, rows int, w, bias *matrix, put func(row, feature int, y float64)) {
	x := p.buffers[in]
	p.each(w.rows, func(o int) {
		add := 0.0
		if bias != nil {
			add = float64(bias.data[o])
		}
		for r := range rows {
			put(r, o, dot(x[r*w.cols:(r+1)*w.cols], w.row(o))+add)
		}
	})
}

// qkv: out = [q;k;v] of in.
func (p *pass) qkv(op *boundOp) {
	out, width, at := p.buffers[op.Out], p.width(op.Out), 0
	for part, w := range op.weights {
		if w == nil {
			continue
		}
		from := at
		p.linear(op.In, len(p.tokens), w, op.biases[part], func(r, o int, y float64) { out[r*width+from+o] = float32(y) })
		at += w.rows
	}
}

// project: out = residual + scale * (in * weight^T + bias).
func (p *pass) project(op *boundOp) {
	out, width, scale := p.buffers[op.Out], p.width(op.Out), orOne(op.Scale)
	residual := p.buffers[op.Residual] // nil for none
	p.linear(op.In, len(p.tokens), op.weights[0], op.biases[0], func(r, o int, y float64) {
		y *= scale
		if residual != nil {
			y += float64(residual[r*width+o])
		}
		out[r*width+o] = float32(y)
	})
}

// activations by number.
var activations = map[uint32]func(x float64) float64{
	abi.ActSiLU: func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	abi.ActGELUTanh: func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
}

// gateUp: out = act(in * gate^T + bias) * (in * up^T + bias).
func (p *pass) gateUp(op *boundOp) {
	out, width, act := p.buffers[op.Out], p.width(op.Out), activations[op.Activation]
	p.linear(op.In, len(p.tokens), op.weights[0], op.biases[0], func(r, o int, y float64) { out[r*width+o] = float32(act(y)) })
	p.linear(op.In, len(p.tokens), op.weights[1], op.biases[1], func(r, o int, y float64) {
		out[r*width+o] = float32(float64(out[r*width+o]) * y)
	})
}

// head: logits = softcap(scale * in * weight^T) of the rows that sample.
func (p *pass) head(op *boundOp) {
	out, width, scale := p.buffers[op.Out], p.width(op.Out), orOne(op.Scale)
	p.linear(op.In, len(p.sampled), op.weights[0], nil, func(r, o int, y float64) {
		out[r*width+o] = float32(softcap(scale*y, op.Softcap))
	})
}

// softcap squashes x into (-cap, cap); zero is no cap.
func softcap(x float64, limit float32) float64 {
	if limit == 0 {
		return x
	}
	return float64(limit) * math.Tanh(x/float64(limit))
}
