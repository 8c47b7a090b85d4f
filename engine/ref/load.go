package ref

import (
	"fmt"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// matrix is a decoded weight, row-major.
type matrix struct {
	rows, cols int
	data       []float32
	unscaled   bool // E4M3 whose scales have not come
}

func (m *matrix) row(i int) []float32 { return m.data[i*m.cols : (i+1)*m.cols] }

// boundOp is an operation with its weights found.
type boundOp struct {
	abi.Op
	weights, biases [3]*matrix
	qNorm, kNorm    *matrix
}

// opName names an operation in errors.
func opName(i int, op *abi.Op) string {
	names := [...]string{"", "embed", "norm", "qkv", "rope_store", "attention", "out", "gate_up", "down", "moe", "head", "sample", "pool", "classify"}
	kind := fmt.Sprintf("kind %d", op.Kind)
	if int(op.Kind) < len(names) {
		kind = names[op.Kind]
	}
	return fmt.Sprintf("op %d (%s, layer %d)", i, kind, op.Layer)
}

// Plan takes the architecture; every attribute that is not honoured is refused.
func (e *Engine) Plan(p *abi.Plan) error {
	if e.plan != nil {
		return abi.Errorf(abi.Invalid, "plan", "the engine has a plan")
	}
	if err := checkPlan(p); err != nil {
		return err
	}
	e.plan = p
	return nil
}

// PutTensor decodes one part of a tensor to float32; scales multiply what was put.
func (e *Engine) PutTensor(t *abi.Tensor) error {
	if e.plan == nil || e.ready {
		return abi.Errorf(abi.Invalid, "tensor_put", "%q: tensors come between plan and finalise", t.Name)
	}
	switch {
	case t.Component > abi.ComponentScale:
		return abi.Errorf(abi.Unsupported, "tensor_put", "%q: component = %d", t.Name, t.Component)
	case t.Component == abi.ComponentData && e.tensors[t.Name][t.Part] != nil:
		return abi.Errorf(abi.Invalid, "tensor_put", "%q part %d was put before", t.Name, t.Part)
	}
	m, err := decoded(t)
	if err != nil {
		return err
	}
	if t.Component == abi.ComponentScale {
		return e.scale(t, m)
	}
	if e.tensors[t.Name] == nil {
		e.tensors[t.Name] = map[uint32]*matrix{}
	}
	e.tensors[t.Name][t.Part] = m
	if m.rows > 1 {
		e.noteDType(t.DType)
	}
	return nil
}

// decoded reads what a tensor holds.
func decoded(t *abi.Tensor) (*matrix, error) {
	block, _ := t.DType.Block()
	if block == 0 {
		return nil, abi.Errorf(abi.Unsupported, "tensor_put", "%q: dtype = %v", t.Name, t.DType)
	}
	if bytes := uint64(t.Rows) * uint64(t.DType.RowBytes(int(t.Cols))); t.Cols%uint32(block) != 0 || bytes != uint64(len(t.Data)) {
		return nil, abi.Errorf(abi.Invalid, "tensor_put", "%q: %d x %d %v need %d bytes, there are %d", t.Name, t.Rows, t.Cols, t.DType, bytes, len(t.Data))
	}
	m := &matrix{rows: int(t.Rows), cols: int(t.Cols), data: make([]float32, int(t.Rows)*int(t.Cols)), unscaled: t.DType == abi.E4M3}
	if err := weights.Dequantise(t.DType, t.Data, m.data); err != nil {
		return nil, abi.Errorf(abi.Invalid, "tensor_put", "%q: %v", t.Name, err)
	}
	return m, nil
}

// scale multiplies a tensor that was put with its scales.
func (e *Engine) scale(t *abi.Tensor, by *matrix) error {
	m := e.tensors[t.Name][t.Part]
	switch {
	case m == nil || !m.unscaled:
		return abi.Errorf(abi.Invalid, "tensor_put", "%q part %d: scales come once, behind e4m3 data", t.Name, t.Part)
	case t.DType != abi.F32 && t.DType != abi.BF16:
		return abi.Errorf(abi.Unsupported, "tensor_put", "%q: scales of %v, only f32 and bf16", t.Name, t.DType)
	}
	if err := weights.Scale(m.data, m.rows, m.cols, by.data, by.rows, by.cols); err != nil {
		return abi.Errorf(abi.Invalid, "tensor_put", "%q: %v", t.Name, err)
	}
	m.unscaled = false
	return nil
}

// Finalise finds every operation's weights, allocates and starts the runner.
func (e *Engine) Finalise() (abi.Bytes, error) {
	if e.plan == nil || e.ready {
		return abi.Bytes{}, abi.Errorf(abi.Invalid, "finalise", "it comes once, after plan")
	}
	if err := e.bind(); err != nil {
		return abi.Bytes{}, err
	}
	e.tail, e.headAt = tailOf(e.plan)
	bytes := e.bytes()
	if e.limits.MemoryMax != 0 && bytes.Total() > e.limits.MemoryMax {
		return abi.Bytes{}, abi.Errorf(abi.NoMem, "finalise", "%d bytes are needed, memory_max = %d", bytes.Total(), e.limits.MemoryMax)
	}
	e.buffers = map[uint32][]float32{}
	for _, b := range e.plan.Buffers {
		e.buffers[b.ID] = make([]float32, int(b.Width)*e.rowsOf(b))
	}
	e.pool = newPool(e.plan, int(e.limits.Pages))
	e.scores = make([]float32, uint64(e.limits.MaxTokens)*uint64(e.limits.MaxPositions))
	e.stats.MemoryPeak = bytes.Total()
	e.ready = true
	e.done.Go(e.serve)
	return bytes, nil
}

func (e *Engine) rowsOf(b abi.Buffer) int {
	if b.SampledRows {
		return int(e.limits.MaxRows)
	}
	return int(e.limits.MaxTokens)
}

// bytes is what Finalise allocates, by class.
func (e *Engine) bytes() (b abi.Bytes) {
	for _, parts := range e.tensors {
		for _, m := range parts {
			b.Weights += 4 * uint64(len(m.data))
		}
	}
	for _, buffer := range e.plan.Buffers {
		b.Activations += 4 * uint64(buffer.Width) * uint64(e.rowsOf(buffer))
	}
	b.KV = uint64(e.limits.Pages) * (4*uint64(pageFloats(e.plan)) + 4*abi.PageLen)
	b.Workspace = 4 * uint64(e.limits.MaxTokens) * uint64(e.limits.MaxPositions)
	return b
}

// bind gives every operation its weights and demands that each tensor is used.
func (e *Engine) bind() error {
	used := map[string]bool{"": true}
	for i := range e.plan.Ops {
		b := &binder{engine: e, bound: boundOp{Op: e.plan.Ops[i]}, index: i, used: used}
		b.bind()
		if b.err != nil {
			return b.err
		}
		e.ops = append(e.ops, b.bound)
	}
	for name := range e.tensors {
		if !used[name] {
			return abi.Errorf(abi.Invalid, "finalise", "tensor %q is not in the plan", name)
		}
	}
	return nil
}

// binder finds the weights of one operation.
type binder struct {
	engine *Engine
	bound  boundOp
	index  int
	used   map[string]bool
	err    error
}

func (b *binder) bind() {
	op := &b.bound
	width := func(id uint32) uint32 {
		for _, buffer := range b.engine.plan.Buffers {
			if buffer.ID == id {
				return buffer.Width
			}
		}
		return 0
	}
	switch op.Kind {
	case abi.OpEmbed:
		op.weights[0] = b.find(op.Weight, 0, b.engine.plan.VocabSize, width(op.Out))
	case abi.OpNorm:
		op.weights[0] = b.find(op.Weight, 0, 1, width(op.In))
	case abi.OpQKV, abi.OpGateUp, abi.OpOut, abi.OpDown, abi.OpHead:
		for i, rows := range op.OutFeatures {
			if rows > 0 {
				op.weights[i] = b.find(op.Weight, uint32(i), rows, op.InFeatures)
				op.biases[i] = b.find(op.Bias, uint32(i), 1, rows)
			}
		}
	case abi.OpRopeStore:
		op.qNorm = b.find(op.QNorm, 0, 1, op.HeadDim)
		op.kNorm = b.find(op.KNorm, 0, 1, op.HeadDim)
	}
}

// find looks one part up; the name "" is no tensor.
func (b *binder) find(name string, part, rows, cols uint32) *matrix {
	if name == "" || b.err != nil {
		return nil
	}
	m := b.engine.tensors[name][part]
	b.used[name] = true
	if m == nil {
		b.err = abi.Errorf(abi.Invalid, "finalise", "%s: tensor %q part %d was not put", opName(b.index, &b.bound.Op), name, part)
	} else if m.unscaled {
		b.err = abi.Errorf(abi.Invalid, "finalise", "%s: the scales of tensor %q part %d were not put", opName(b.index, &b.bound.Op), name, part)
	} else if m.rows != int(rows) || m.cols != int(cols) {
		b.err = abi.Errorf(abi.Invalid, "finalise", "%s: tensor %q part %d is %d x %d, must be %d x %d",
			opName(b.index, &b.bound.Op), name, part, m.rows, m.cols, rows, cols)
	}
	return m
}
