// Package capi marshals between engine/abi and the C structs of the step ABI. An
// [Engine] satisfies engine.Backend over any function table that nf_open returned:
// the linked CPU library's or the loaded CUDA library's.
//
// Steps and results cross in C memory that an Engine keeps for life, one set for the
// submitter and one for the waiter, so that Submit and Wait allocate nothing once
// their buffers have grown. No Go pointer outlives a call; tensor data on the Go heap
// stays pinned until Finalise returns.
package capi
