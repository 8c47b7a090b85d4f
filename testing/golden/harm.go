package golden

import (
	"bytes"
	"errors"
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// splitName is the embedding's name in a plan made by Split.
const splitName = "embedding of its own"

// Harm changes a model on purpose: the bytes of its embedding, a row of which takes
// rowBytes, or its head.
type Harm func(embedding []byte, rowBytes int, head *abi.Op)

// PoisonToken makes one token's embedding NaN, whatever its type: every 16-bit word
// is a NaN of float16 and of bfloat16, and pairs are of float32.
func PoisonToken(token int) Harm {
	return func(embedding []byte, rowBytes int, _ *abi.Op) {
		copy(embedding[token*rowBytes:(token+1)*rowBytes], bytes.Repeat([]byte{0xff}, rowBytes))
	}
}

// Split gives a model an embedding of its own where it shares the head's matrix, so
// that harm to one spares the other.
func Split(m *model.Model, harm Harm) (*abi.Plan, []*abi.Tensor, error) {
	plan := m.Plan
	plan.Ops = slices.Clone(plan.Ops)
	var embed, head *abi.Op
	for i := range plan.Ops {
		switch op := &plan.Ops[i]; op.Kind {
		case abi.OpEmbed:
			embed = op
		case abi.OpHead:
			head = op
		}
	}
	if embed == nil || head == nil {
		return nil, nil, errors.New("golden: the plan has no embedding or no head")
	}
	var tensors []*abi.Tensor
	for t, err := range m.Tensors() {
		if err != nil {
			return nil, nil, err
		}
		kept := *t
		if t.Name == embed.Weight {
			kept.Name, kept.Data = splitName, bytes.Clone(t.Data)
			harm(kept.Data, t.DType.RowBytes(int(t.Cols)), head)
			if t.Name == head.Weight {
				shared := *t
				tensors = append(tensors, &shared)
			}
		}
		tensors = append(tensors, &kept)
	}
	embed.Weight = splitName
	return &plan, tensors, nil
}
