// Package abi mirrors the step ABI (cuda/include/nanofleet.h) in Go: the data that
// crosses between the engine and whatever computes. It holds types only; engine
// declares the Backend interface over them, engine/model writes Plans, and
// engine/{ref,cpu,gpu} run them.
//
// Its nouns: a [Plan] is an architecture as data; [Limits] size an instance; a
// [Tensor] is one weight matrix on its way in; a [Slot] is one open sequence; a
// [Step] is one forward pass over rows of several sequences; a [Result] is what
// was sampled. All numbers are those of the header and never change within one
// ABI version.
package abi

// Version is the ABI number spoken by this build.
const Version = 3

// Sizes fixed by the ABI.
const (
	PageLen   = 64 // positions in one KV page
	NameLen   = 64 // bytes of a tensor name, C terminator included
	MaxTop    = 20 // most alternatives reported per sampled token
	MaxAccept = 8  // most tokens one row may accept in one step
	NoMask    = 0  // mask id of a row without a grammar mask
	Queue     = 2  // steps that may be submitted and not yet waited for
)
