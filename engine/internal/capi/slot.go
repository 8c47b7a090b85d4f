package capi

/*
#include "capi.h"
*/
import "C"

import (
	"unsafe"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// The layouts that cross without a copy, field by field, in Go and in C.
var (
	_ [unsafe.Sizeof(abi.Bias{})]byte    = [C.sizeof_nf_bias]byte{}
	_ [unsafe.Sizeof(abi.RowMask{})]byte = [C.sizeof_nf_row_mask]byte{}
)

// OpenSlot begins a sequence with the next submitted step.
func (e *Engine) OpenSlot(s *abi.Slot) error {
	if err := e.closed("slot_open"); err != nil {
		return err
	}
	p := &s.Sampling
	c := C.nf_slot{
		slot: C.uint32_t(s.Slot), start: C.uint32_t(s.Start), prompt_len: C.uint32_t(s.PromptLen), min_position: C.uint32_t(s.MinPosition),
		n_biases: C.uint32_t(len(s.Biases)), n_eos: C.uint32_t(len(s.EOS)),
		seed: C.uint64_t(s.Seed), choice: C.uint32_t(s.Choice), adapter: C.uint32_t(s.Adapter),
		sampling: C.nf_sampling{
			temperature: C.float(p.Temperature), top_p: C.float(p.TopP), min_p: C.float(p.MinP), typical_p: C.float(p.TypicalP),
			top_k: C.uint32_t(p.TopK), presence: C.float(p.Presence), frequency: C.float(p.Frequency), repetition: C.float(p.Repetition),
			logprobs: flag(p.Logprobs), top_logprobs: C.uint32_t(p.TopLogprobs), prompt_top: C.uint32_t(p.PromptTop),
		},
	}
	c.size, c.sampling.size = C.uint32_t(unsafe.Sizeof(c)), C.uint32_t(unsafe.Sizeof(c.sampling))
	biases := (*C.nf_bias)(unsafe.Pointer(unsafe.SliceData(s.Biases)))
	eos := (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(s.EOS)))
	return e.done("slot_open", C.nfc_slot_open(e.api, e.handle, &c, biases, eos))
}

// CloseSlot ends a sequence.
func (e *Engine) CloseSlot(slot uint32) error {
	if err := e.closed("slot_close"); err != nil {
		return err
	}
	return e.done("slot_close", C.nfc_slot_close(e.api, e.handle, C.uint32_t(slot)))
}

// DefineMask sets the allowed tokens of a mask id.
func (e *Engine) DefineMask(id uint32, bits []uint32) error {
	if err := e.closed("mask_define"); err != nil {
		return err
	}
	words := (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(bits)))
	return e.done("mask_define", C.nfc_mask_define(e.api, e.handle, C.uint32_t(id), words, C.uint32_t(len(bits))))
}

// DropMask forgets a mask.
func (e *Engine) DropMask(id uint32) error {
	if err := e.closed("mask_drop"); err != nil {
		return err
	}
	return e.done("mask_drop", C.nfc_mask_drop(e.api, e.handle, C.uint32_t(id)))
}

// Sample releases late-mask rows of a submitted step.
func (e *Engine) Sample(seq uint64, masks []abi.RowMask) error {
	if err := e.closed("sample"); err != nil {
		return err
	}
	rows := (*C.nf_row_mask)(unsafe.Pointer(unsafe.SliceData(masks)))
	return e.done("sample", C.nfc_sample(e.api, e.handle, C.uint64_t(seq), rows, C.uint32_t(len(masks))))
}
