package ref

import (
	"reflect"
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// honoured lists the attributes each kind of operation may use; any other that is
// not zero is refused. Kind and Layer are honoured everywhere.
var honoured = map[abi.OpKind][]string{
	abi.OpEmbed:     {"Out", "OutFeatures", "Weight", "Scale"},
	abi.OpNorm:      {"In", "Out", "InFeatures", "OutFeatures", "Weight", "NormKind", "NormPlusOne", "NormEps"},
	abi.OpQKV:       {"In", "Out", "InFeatures", "OutFeatures", "Weight", "Bias"},
	abi.OpRopeStore: {"In", "Out", "Heads", "KVHeads", "HeadDim", "QNorm", "KNorm", "NormKind", "NormPlusOne", "NormEps", "RopeKind", "RopeDims", "RopeTable"},
	abi.OpAttention: {"In", "Out", "Heads", "KVHeads", "HeadDim", "AttnScale", "Window", "Softcap"},
	abi.OpOut:       {"In", "Out", "Residual", "InFeatures", "OutFeatures", "Weight", "Bias", "Scale"},
	abi.OpGateUp:    {"In", "Out", "InFeatures", "OutFeatures", "Weight", "Bias", "Activation"},
	abi.OpDown:      {"In", "Out", "Residual", "InFeatures", "OutFeatures", "Weight", "Bias", "Scale"},
	abi.OpHead:      {"In", "Out", "InFeatures", "OutFeatures", "Weight", "Softcap", "Scale"},
	abi.OpSample:    {"In"},
}

// checker walks a plan and keeps its widths.
type checker struct {
	plan    *abi.Plan
	width   map[uint32]uint32 // of each buffer
	sampled map[uint32]bool
	index   int // of the operation being checked
	err     error
}

// checkPlan refuses what this backend does not honour and what does not fit together.
func checkPlan(p *abi.Plan) error {
	c := &checker{plan: p, width: map[uint32]uint32{}, sampled: map[uint32]bool{}}
	for _, b := range p.Buffers {
		if b.ID == 0 || b.Width == 0 || c.width[b.ID] != 0 {
			return abi.Errorf(abi.Invalid, "plan", "buffer %d of width %d: ids rise from 1, once each, with a width", b.ID, b.Width)
		}
		c.width[b.ID], c.sampled[b.ID] = b.Width, b.SampledRows
	}
	if p.VocabSize == 0 || p.KVLayers == 0 || p.KVHeads == 0 || p.HeadDim == 0 {
		return abi.Errorf(abi.Invalid, "plan", "vocab_size, n_kv_layers, kv_heads and head_dim must be above 0")
	}
	tail, _ := tailOf(p)
	for i := range p.Ops {
		c.index = i
		c.op(&p.Ops[i])
		out := p.Ops[i].Out
		c.require(i < tail || out == 0 || c.sampled[out], &p.Ops[i], "out = %d is of tokens, behind operations over sampling rows", out)
	}
	return c.err
}

func (c *checker) fail(code abi.Code, op *abi.Op, format string, args ...any) {
	if c.err == nil {
		e := abi.Errorf(code, "plan", format, args...)
		e.Detail = opName(c.index, op) + ": " + e.Detail
		c.err = e
	}
}

// require refuses an operation that does not hold what it must.
func (c *checker) require(ok bool, op *abi.Op, format string, args ...any) {
	if !ok {
		c.fail(abi.Invalid, op, format, args...)
	}
}

func (c *checker) op(op *abi.Op) {
	fields, known := honoured[op.Kind]
	if !known {
		c.fail(abi.Unsupported, op, "this kind of operation")
		return
	}
	v := reflect.ValueOf(*op)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name != "Kind" && name != "Layer" && !v.Field(i).IsZero() && !slices.Contains(fields, name) {
			c.fail(abi.Unsupported, op, "%s = %v", name, v.Field(i))
		}
	}
	c.buffers(op)
	c.shape(op)
}

// buffers demands that every buffer named exists and that rows flow from tokens to
// sampling rows only through a norm.
func (c *checker) buffers(op *abi.Op) {
	for _, id := range []uint32{op.In, op.Out, op.Residual} {
		c.require(id == 0 || c.width[id] != 0, op, "buffer %d is not in the plan", id)
	}
	sampling := op.Kind == abi.OpHead || op.Kind == abi.OpSample
	c.require(op.In == 0 || c.sampled[op.In] == sampling, op, "in = %d: sampled_rows must be %v", op.In, sampling)
	if op.Kind != abi.OpNorm && op.Out != 0 {
		c.require(c.sampled[op.Out] == sampling, op, "out = %d: sampled_rows must be %v", op.Out, sampling)
	}
}

// shape checks sizes and enumerations.
func (c *checker) shape(op *abi.Op) {
	in, out, f := c.width[op.In], c.width[op.Out], op.OutFeatures
	switch op.Kind {
	case abi.OpEmbed:
		c.require(out > 0, op, "out is due")
	case abi.OpNorm:
		c.require(in == out && in > 0, op, "in is %d wide and out %d", in, out)
		c.norm(op)
	case abi.OpQKV:
		c.linear(op, f[0]+f[1]+f[2])
	case abi.OpOut, abi.OpDown:
		c.linear(op, f[0])
		c.require(op.Residual == 0 || c.width[op.Residual] == out, op, "residual is %d wide, out %d", c.width[op.Residual], out)
	case abi.OpGateUp:
		c.linear(op, f[0])
		c.require(f[0] == f[1], op, "gate has %d features and up %d", f[0], f[1])
		c.require(activations[op.Activation] != nil, op, "activation = %d, must be 1 or 2", op.Activation)
	case abi.OpHead:
		c.linear(op, f[0])
		c.require(out == c.plan.VocabSize, op, "out is %d wide, the vocabulary %d", out, c.plan.VocabSize)
	case abi.OpSample:
		c.require(in == c.plan.VocabSize, op, "in is %d wide, the vocabulary %d", in, c.plan.VocabSize)
	case abi.OpRopeStore, abi.OpAttention:
		c.heads(op)
	}
}

// linear checks a matrix product's widths.
func (c *checker) linear(op *abi.Op, features uint32) {
	c.require(op.Weight != "", op, "weight is due")
	c.require(op.InFeatures > 0 && op.InFeatures == c.width[op.In], op, "in_features = %d, buffer %d is %d wide", op.InFeatures, op.In, c.width[op.In])
	c.require(features > 0 && features == c.width[op.Out], op, "out_features give %d, buffer %d is %d wide", features, op.Out, c.width[op.Out])
}

// norm checks a norm's kind and epsilon.
func (c *checker) norm(op *abi.Op) {
	if op.NormKind != abi.NormRMS {
		c.fail(abi.Unsupported, op, "NormKind = %d", op.NormKind)
	}
	c.require(op.NormEps >= 0, op, "norm_eps = %v, must not be negative", op.NormEps)
}

// heads checks what rope_store and attention share.
func (c *checker) heads(op *abi.Op) {
	p := c.plan
	c.require(op.Layer < p.KVLayers, op, "layer = %d of %d", op.Layer, p.KVLayers)
	if op.Heads == 0 || op.KVHeads == 0 || op.HeadDim == 0 || op.Heads%op.KVHeads != 0 {
		c.fail(abi.Invalid, op, "heads = %d, kv_heads = %d, head_dim = %d", op.Heads, op.KVHeads, op.HeadDim)
		return
	}
	c.require(op.KVHeads <= p.KVHeads && op.HeadDim <= p.HeadDim, op, "%d x %d is beyond the page's %d x %d", op.KVHeads, op.HeadDim, p.KVHeads, p.HeadDim)
	c.require(c.width[op.In] == (op.Heads+2*op.KVHeads)*op.HeadDim, op, "in is %d wide, heads need %d", c.width[op.In], (op.Heads+2*op.KVHeads)*op.HeadDim)
	if op.Kind == abi.OpAttention {
		c.require(c.width[op.Out] == op.Heads*op.HeadDim, op, "out is %d wide, heads need %d", c.width[op.Out], op.Heads*op.HeadDim)
		return
	}
	c.require(op.Out == 0 || op.Out == op.In, op, "out = %d, rope_store works in place on %d", op.Out, op.In)
	if op.QNorm != "" || op.KNorm != "" {
		c.norm(op)
	}
	c.rope(op)
}

// rope checks the rotation.
func (c *checker) rope(op *abi.Op) {
	if op.RopeKind == abi.RopeNone {
		return
	}
	c.require(op.RopeKind <= abi.RopePair, op, "rope_kind = %d, must be 0, 1 or 2", op.RopeKind)
	c.require(op.RopeDims > 0 && op.RopeDims%2 == 0 && op.RopeDims <= op.HeadDim, op, "rope_dims = %d, must be even and at most head_dim (%d)", op.RopeDims, op.HeadDim)
	if int(op.RopeTable) >= len(c.plan.RopeTables) {
		c.fail(abi.Invalid, op, "rope_table = %d of %d", op.RopeTable, len(c.plan.RopeTables))
		return
	}
	n := len(c.plan.RopeTables[op.RopeTable].InvFreq)
	c.require(uint32(n) == op.RopeDims/2, op, "rope table %d has %d frequencies for %d dimensions", op.RopeTable, n, op.RopeDims)
}
