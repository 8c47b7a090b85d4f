package ref

import (
	"math"
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// slot is the submitter's book of one open sequence.
type slot struct {
	seq     *sequence
	length  uint32   // positions that submitted steps fill
	pages   []uint32 // page ids by index; noPage where none was given
	sampled bool     // a submitted row samples, so that RowContinue has a token
}

const noPage = math.MaxUint32

// sequence is what the runner keeps of an open slot.
type sequence struct {
	spec     abi.Slot
	last     int32 // last sampled token
	poisoned bool  // a row's logits held a NaN
}

// OpenSlot begins a sequence with the next submitted step.
func (e *Engine) OpenSlot(s *abi.Slot) error {
	switch {
	case !e.ready:
		return abi.Errorf(abi.Invalid, "slot_open", "finalise comes first")
	case s.Slot >= e.limits.MaxSlots:
		return abi.Errorf(abi.Invalid, "slot_open", "slot = %d, max_slots = %d", s.Slot, e.limits.MaxSlots)
	case e.slots[s.Slot] != nil:
		return abi.Errorf(abi.Invalid, "slot_open", "slot %d is open", s.Slot)
	case s.Start >= e.limits.MaxPositions:
		return abi.Errorf(abi.Invalid, "slot_open", "start = %d, max_positions = %d", s.Start, e.limits.MaxPositions)
	case s.Adapter != 0:
		return abi.Errorf(abi.Unsupported, "slot_open", "adapter = %d", s.Adapter)
	}
	if err := e.checkSampling(s); err != nil {
		return err
	}
	spec := *s
	spec.EOS, spec.Biases = slices.Clone(s.EOS), slices.Clone(s.Biases)
	e.slots[s.Slot] = &slot{seq: &sequence{spec: spec}, length: s.Start}
	return nil
}

// checkSampling bounds what sampling would index or divide by.
func (e *Engine) checkSampling(s *abi.Slot) error {
	p, vocab := &s.Sampling, e.plan.VocabSize
	switch {
	case !(p.Temperature >= 0) || math.IsInf(float64(p.Temperature), 0):
		return abi.Errorf(abi.Invalid, "slot_open", "temperature = %v, must be finite and not negative", p.Temperature)
	case !(p.TopP > 0 && p.TopP <= 1):
		return abi.Errorf(abi.Invalid, "slot_open", "top_p = %v, must be above 0 and at most 1", p.TopP)
	case !(p.MinP >= 0 && p.MinP <= 1):
		return abi.Errorf(abi.Invalid, "slot_open", "min_p = %v, must be from 0 to 1", p.MinP)
	case !(p.TypicalP > 0 && p.TypicalP <= 1):
		return abi.Errorf(abi.Invalid, "slot_open", "typical_p = %v, must be above 0 and at most 1", p.TypicalP)
	case !(p.Repetition > 0) || math.IsInf(float64(p.Repetition), 0):
		return abi.Errorf(abi.Invalid, "slot_open", "repetition = %v, must be finite and above 0", p.Repetition)
	case p.TopLogprobs > abi.MaxTop || p.TopLogprobs > vocab:
		return abi.Errorf(abi.Invalid, "slot_open", "top_logprobs = %d, must be at most %d", p.TopLogprobs, min(abi.MaxTop, vocab))
	case p.PromptTop > abi.MaxTop || p.PromptTop > vocab:
		return abi.Errorf(abi.Invalid, "slot_open", "prompt_top = %d, must be at most %d", p.PromptTop, min(abi.MaxTop, vocab))
	}
	for _, f := range []float32{p.Presence, p.Frequency} {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return abi.Errorf(abi.Invalid, "slot_open", "a penalty is %v, must be finite", f)
		}
	}
	for _, b := range s.Biases {
		if uint32(b.Token) >= vocab || math.IsNaN(float64(b.Bias)) {
			return abi.Errorf(abi.Invalid, "slot_open", "bias %v of token %d, the vocabulary has %d", b.Bias, b.Token, vocab)
		}
	}
	for _, id := range s.EOS {
		if uint32(id) >= vocab {
			return abi.Errorf(abi.Invalid, "slot_open", "eos %d, the vocabulary has %d", id, vocab)
		}
	}
	return nil
}

// CloseSlot ends a sequence; its pages are the caller's to give away once the steps
// submitted before have run.
func (e *Engine) CloseSlot(n uint32) error {
	if n >= e.limits.MaxSlots || e.slots[n] == nil {
		return abi.Errorf(abi.Invalid, "slot_close", "slot %d is not open", n)
	}
	e.slots[n] = nil
	return nil
}

// DefineMask sets the allowed tokens of a mask id: bit i of word i/32 is token i.
func (e *Engine) DefineMask(id uint32, bits []uint32) error {
	if e.plan == nil {
		return abi.Errorf(abi.Invalid, "mask_define", "plan comes first")
	}
	if words := (e.plan.VocabSize + 31) / 32; id == abi.NoMask || len(bits) != int(words) {
		return abi.Errorf(abi.Invalid, "mask_define", "mask %d of %d words: ids start at 1, the vocabulary takes %d words", id, len(bits), words)
	}
	e.masks[id] = slices.Clone(bits)
	return nil
}

// DropMask forgets a mask; steps already submitted keep it.
func (e *Engine) DropMask(id uint32) error {
	if e.masks[id] == nil {
		return abi.Errorf(abi.Invalid, "mask_drop", "mask %d is not defined", id)
	}
	delete(e.masks, id)
	return nil
}
