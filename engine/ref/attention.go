package ref

import (
	"math"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// ropeStore norms and rotates q and k of token row t in place, then stores k and v
// to the token's page.
func (p *pass) ropeStore(op *boundOp, t int) {
	at, dim := p.tokens[t], int(op.HeadDim)
	qkv := p.row(op.In, t)
	q, kv := int(op.Heads)*dim, int(op.KVHeads)*dim
	for h := 0; h < q+kv; h += dim {
		head, weight := qkv[h:h+dim], op.qNorm
		if h >= q {
			weight = op.kNorm
		}
		if weight != nil {
			rmsNorm(head, head, weight, op.NormEps, op.NormPlusOne)
		}
		if op.RopeKind != abi.RopeNone {
			rotate(head[:op.RopeDims], op.RopeKind, &p.plan.RopeTables[op.RopeTable], at.position)
		}
	}
	page, offset := at.row.page(at.position)
	copy(p.pool.key(page, op.Layer, offset), qkv[q:q+kv])
	copy(p.pool.value(page, op.Layer, offset), qkv[q+kv:q+2*kv])
}

// rotate turns the pairs of a head by position * frequency.
func rotate(head []float32, kind uint32, table *abi.RopeTable, position uint32) {
	half, factor := len(head)/2, orOne(table.AttentionFactor)
	for i, frequency := range table.InvFreq {
		a, b := i, i+half
		if kind == abi.RopePair {
			a, b = 2*i, 2*i+1
		}
		sin, cos := math.Sincos(float64(position) * float64(frequency))
		x, y := float64(head[a]), float64(head[b])
		head[a] = float32(factor * (x*cos - y*sin))
		head[b] = float32(factor * (x*sin + y*cos))
	}
}

// attention: out = softmax(scale * q k^T) v of token row t, over its own and all
// earlier positions, or the window's last ones.
func (p *pass) attention(op *boundOp, t int) {
	at, dim := p.tokens[t], int(op.HeadDim)
	from := uint32(0)
	if op.Window > 0 && at.position >= op.Window {
		from = at.position - op.Window + 1
	}
	scores := p.scores[t*int(p.limits.MaxPositions):][:at.position-from+1]
	qkv, out := p.row(op.In, t), p.row(op.Out, t)
	group := int(op.Heads / op.KVHeads)
	for h := range int(op.Heads) {
		kv := h / group * dim // of the key-value head that this head shares
		q := qkv[h*dim : (h+1)*dim]
		for i := range scores {
			page, offset := at.row.page(from + uint32(i))
			score := dot(q, p.pool.key(page, op.Layer, offset)[kv:kv+dim]) * float64(op.AttnScale)
			scores[i] = float32(softcap(score, op.Softcap))
		}
		softmax(scores)
		sums := make([]float64, dim)
		for i, weight := range scores {
			page, offset := at.row.page(from + uint32(i))
			add(sums, float64(weight), p.pool.value(page, op.Layer, offset)[kv:kv+dim])
		}
		for d, sum := range sums {
			out[h*dim+d] = float32(sum)
		}
	}
}

// add adds a row times a weight, watched as dot is.
func add(sums []float64, weight float64, row []float32) {
	watch(row)
	addLanes(sums, weight, row)
}

//go:norace
func addLanes(sums []float64, weight float64, row []float32) {
	for d, v := range row {
		sums[d] += weight * float64(v)
	}
}

// softmax in place, exponentials and sum in float64.
func softmax(x []float32) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range x {
		x[i] = float32(math.Exp(float64(v)-top) / sum)
	}
}
