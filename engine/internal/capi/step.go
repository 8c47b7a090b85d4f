package capi

/*
#include "capi.h"
*/
import "C"

import (
	"time"
	"unsafe"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Steps and result rows are copied whole: their layouts are the same in Go and in C.
var (
	_ [unsafe.Sizeof(abi.Row{})]byte       = [C.sizeof_nf_row]byte{}
	_ [unsafe.Sizeof(abi.PageDelta{})]byte = [C.sizeof_nf_page_delta]byte{}
	_ [unsafe.Sizeof(abi.PageCopy{})]byte  = [C.sizeof_nf_page_copy]byte{}
	_ [unsafe.Sizeof(abi.ResultRow{})]byte = [C.sizeof_nf_result_row]byte{}

	_ [unsafe.Sizeof(abi.PromptLogprob{})]byte = [C.sizeof_nf_prompt_logprob]byte{}
)

// stepBuffers hold a step in C memory; the submitter's alone.
type stepBuffers struct {
	step   []C.nf_step
	rows   []abi.Row
	tokens []int32
	pages  []abi.PageDelta
	copies []abi.PageCopy
	closes []uint32
}

func (b *stepBuffers) free() {
	release(b.step)
	release(b.rows)
	release(b.tokens)
	release(b.pages)
	release(b.copies)
	release(b.closes)
	*b = stepBuffers{}
}

// resultBuffers hold a result in C memory; the waiter's alone.
type resultBuffers struct {
	result []C.nf_result
	rows   []abi.ResultRow
	aux    []float32
	prompt []abi.PromptLogprob
}

func (b *resultBuffers) free() {
	release(b.result)
	release(b.rows)
	release(b.aux)
	release(b.prompt)
	*b = resultBuffers{}
}

// Submit hands a step over and returns before it has run.
func (e *Engine) Submit(s *abi.Step) error {
	if err := e.closed("submit"); err != nil {
		return err
	}
	b := &e.step
	b.step = grown(b.step, 1)
	b.rows, b.tokens = filled(b.rows, s.Rows), filled(b.tokens, s.Tokens)
	b.pages, b.copies, b.closes = filled(b.pages, s.Pages), filled(b.copies, s.Copies), filled(b.closes, s.Closes)
	b.step[0] = C.nf_step{
		size:   C.sizeof_nf_step,
		n_rows: C.uint32_t(len(s.Rows)), n_tokens: C.uint32_t(len(s.Tokens)), n_pages: C.uint32_t(len(s.Pages)),
		n_copies: C.uint32_t(len(s.Copies)), n_closes: C.uint32_t(len(s.Closes)), seq: C.uint64_t(s.Seq),
		rows:   (*C.nf_row)(unsafe.Pointer(unsafe.SliceData(b.rows))),
		tokens: (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(b.tokens))),
		pages:  (*C.nf_page_delta)(unsafe.Pointer(unsafe.SliceData(b.pages))),
		copies: (*C.nf_page_copy)(unsafe.Pointer(unsafe.SliceData(b.copies))),
		closes: (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(b.closes))),
	}
	return e.done("submit", C.nfc_submit(e.api, e.handle, &b.step[0]))
}

// Wait blocks until step seq is done or timeout passes.
func (e *Engine) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	if err := e.closed("wait"); err != nil {
		return err
	}
	b := &e.result
	b.result = grown(b.result, 1)
	b.rows = grown(b.rows, int(e.limits.MaxRows))
	// Untouched memory costs nothing, and few steps ask for logits, vectors or prompts.
	b.aux = grown(b.aux, int(e.limits.MaxRows)*max(e.vocab, e.pool))
	b.prompt = grown(b.prompt, int(e.limits.MaxTokens))
	b.result[0] = C.nf_result{
		size: C.sizeof_nf_result, n_rows: C.uint32_t(len(b.rows)), n_aux: C.uint64_t(len(b.aux)),
		rows:     (*C.nf_result_row)(unsafe.Pointer(unsafe.SliceData(b.rows))),
		aux:      (*C.float)(unsafe.Pointer(unsafe.SliceData(b.aux))),
		n_prompt: C.uint64_t(len(b.prompt)), prompt: (*C.nf_prompt_logprob)(unsafe.Pointer(unsafe.SliceData(b.prompt))),
	}
	us := max(timeout, 0) / time.Microsecond
	if err := e.done("wait", C.nfc_wait(e.api, e.handle, C.uint64_t(seq), &b.result[0], C.uint64_t(us))); err != nil {
		return err
	}
	c := &b.result[0]
	r.Seq, r.ComputeNS = seq, uint64(c.compute_ns)
	r.Rows = append(r.Rows[:0], b.rows[:c.n_rows]...)
	r.Aux = append(r.Aux[:0], b.aux[:c.n_aux]...)
	r.Prompt = append(r.Prompt[:0], b.prompt[:c.n_prompt]...)
	return nil
}
