package capi

/*
#include "capi.h"
*/
import "C"

import (
	"unsafe"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Plan hands the architecture over.
func (e *Engine) Plan(p *abi.Plan) error {
	if err := e.closed("plan"); err != nil {
		return err
	}
	ops, buffers, tables := grown[C.nf_op](nil, len(p.Ops)), grown[C.nf_buffer](nil, len(p.Buffers)), grown[C.nf_rope_table](nil, len(p.RopeTables))
	defer release(ops)
	defer release(buffers)
	defer release(tables)
	for i := range p.Ops {
		if err := fillOp(&ops[i], &p.Ops[i]); err != nil {
			return err
		}
	}
	for i, b := range p.Buffers {
		buffers[i] = C.nf_buffer{id: C.uint32_t(b.ID), width: C.uint32_t(b.Width), sampled_rows: flag(b.SampledRows)}
		buffers[i].size = C.uint32_t(unsafe.Sizeof(buffers[i]))
	}
	for i, t := range p.RopeTables {
		frequencies := grown[C.float](nil, len(t.InvFreq))
		defer release(frequencies)
		for j, f := range t.InvFreq {
			frequencies[j] = C.float(f)
		}
		tables[i] = C.nf_rope_table{n: C.uint32_t(len(t.InvFreq)), inv_freq: unsafe.SliceData(frequencies), attention_factor: C.float(t.AttentionFactor)}
		tables[i].size = C.uint32_t(unsafe.Sizeof(tables[i]))
	}
	plan := C.nf_plan{
		n_ops: C.uint32_t(len(p.Ops)), n_buffers: C.uint32_t(len(p.Buffers)), n_rope_tables: C.uint32_t(len(p.RopeTables)),
		ops: unsafe.SliceData(ops), buffers: unsafe.SliceData(buffers), rope_tables: unsafe.SliceData(tables),
		vocab_size: C.uint32_t(p.VocabSize), n_kv_layers: C.uint32_t(p.KVLayers), kv_heads: C.uint32_t(p.KVHeads), head_dim: C.uint32_t(p.HeadDim),
	}
	plan.size = C.uint32_t(unsafe.Sizeof(plan))
	if err := e.done("plan", C.nfc_plan(e.api, e.handle, &plan)); err != nil {
		return err
	}
	e.vocab, e.pool = int(p.VocabSize), p.PoolWidth()
	return nil
}

// fillOp writes one operation, field by field.
func fillOp(c *C.nf_op, op *abi.Op) error {
	*c = C.nf_op{
		kind: C.nf_op_kind(op.Kind), layer: C.uint32_t(op.Layer), in: C.uint32_t(op.In), out: C.uint32_t(op.Out),
		residual: C.uint32_t(op.Residual), in_features: C.uint32_t(op.InFeatures),
		norm_kind: C.uint32_t(op.NormKind), norm_plus_one: flag(op.NormPlusOne), norm_eps: C.float(op.NormEps),
		activation: C.uint32_t(op.Activation), n_heads: C.uint32_t(op.Heads), n_kv_heads: C.uint32_t(op.KVHeads),
		head_dim: C.uint32_t(op.HeadDim), rope_kind: C.uint32_t(op.RopeKind), rope_dims: C.uint32_t(op.RopeDims),
		rope_table: C.uint32_t(op.RopeTable), attn_scale: C.float(op.AttnScale), window: C.uint32_t(op.Window),
		softcap: C.float(op.Softcap), scale: C.float(op.Scale), bidirectional: flag(op.Bidirectional),
		n_experts: C.uint32_t(op.Experts), top_k: C.uint32_t(op.TopK), renormalise: flag(op.Renormalise),
		shared_experts: C.uint32_t(op.SharedExperts), position_embedding: C.uint32_t(op.PositionEmbedding),
		type_embedding: C.uint32_t(op.TypeEmbedding), head_kind: C.uint32_t(op.HeadKind),
	}
	c.size = C.uint32_t(unsafe.Sizeof(*c))
	for i, f := range op.OutFeatures {
		c.out_features[i] = C.uint32_t(f)
	}
	for _, n := range []struct {
		to   []C.char
		name string
	}{{c.weight[:], op.Weight}, {c.bias[:], op.Bias}, {c.q_norm[:], op.QNorm}, {c.k_norm[:], op.KNorm}} {
		if !put(n.to, n.name) {
			return abi.Errorf(abi.Invalid, "plan", "tensor name %q: at most %d bytes, none of them zero", n.name, abi.NameLen-1)
		}
	}
	return nil
}

// PutTensor hands one part of a tensor over. Its data are pinned until Finalise.
func (e *Engine) PutTensor(t *abi.Tensor) error {
	if err := e.closed("tensor_put"); err != nil {
		return err
	}
	c := C.nf_tensor{
		part: C.uint32_t(t.Part), component: C.nf_component(t.Component), rows: C.uint32_t(t.Rows), cols: C.uint32_t(t.Cols),
		dtype: C.nf_dtype(t.DType), data_len: C.uint64_t(len(t.Data)), synth_seed: C.uint64_t(t.SynthSeed),
	}
	c.size = C.uint32_t(unsafe.Sizeof(c))
	if !put(c.name[:], t.Name) {
		return abi.Errorf(abi.Invalid, "tensor_put", "tensor name %q: at most %d bytes, none of them zero", t.Name, abi.NameLen-1)
	}
	var data unsafe.Pointer
	if len(t.Data) > 0 {
		data = unsafe.Pointer(&t.Data[0])
		e.pins.Pin(&t.Data[0]) // does nothing for mapped memory
	}
	if err := e.done("tensor_put", C.nfc_tensor_put(e.api, e.handle, &c, data)); err != nil {
		return err
	}
	if t.Rows > 1 && t.Component == abi.ComponentData {
		e.noteDType(t.DType)
	}
	return nil
}

// Finalise lets the backend repack and allocate; tensor data may go afterwards.
func (e *Engine) Finalise() (abi.Bytes, error) {
	if err := e.closed("finalise"); err != nil {
		return abi.Bytes{}, err
	}
	var b C.nf_bytes
	b.size = C.uint32_t(unsafe.Sizeof(b))
	if err := e.done("finalise", C.nfc_finalise(e.api, e.handle, &b)); err != nil {
		return abi.Bytes{}, err
	}
	e.pins.Unpin()
	return abi.Bytes{Weights: uint64(b.weights), KV: uint64(b.kv), Activations: uint64(b.activations), Workspace: uint64(b.workspace)}, nil
}
