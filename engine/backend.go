package engine

import (
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Backend computes. It is the Go face of the step ABI; engine/ref implements it in
// Go, engine/cpu over the linked C library, engine/gpu over the loaded one.
//
// Load: Plan, PutTensor for every tensor of the plan, Finalise. Then one goroutine
// at a time may call OpenSlot, CloseSlot, DefineMask, DropMask, Submit and Sample,
// and one at a time Wait; the two may run at once. At most abi.Queue steps are
// submitted and not yet waited for. Failures are *abi.Error; after
// abi.ErrDeviceLost every call fails and the process must end.
type Backend interface {
	// Probe describes the device. It may be called at any time.
	Probe() abi.ProbeInfo
	// NumericsID names everything that decides a token's bits: backend, ISA or SM,
	// build, weight and KV precision, tensor-parallel width, invariance.
	NumericsID() string

	Plan(*abi.Plan) error
	// PutTensor hands over one part of a tensor; t.Data stays readable until Finalise.
	PutTensor(t *abi.Tensor) error
	// Finalise repacks and allocates everything; nothing is allocated afterwards.
	Finalise() (abi.Bytes, error)

	OpenSlot(*abi.Slot) error
	CloseSlot(slot uint32) error
	// DefineMask sets the allowed tokens of a mask id: bit i of word i/32 is token i.
	DefineMask(id uint32, bits []uint32) error
	DropMask(id uint32) error

	// Submit copies the step and returns before it has run.
	Submit(*abi.Step) error
	// Sample releases the late-mask rows of a submitted step.
	Sample(seq uint64, masks []abi.RowMask) error
	// Wait blocks until step seq is done or timeout passes (abi.ErrTimeout).
	// Steps are waited for in order. r's slices are reused.
	Wait(seq uint64, r *abi.Result, timeout time.Duration) error

	Stats() abi.Stats
	Close() error
}
