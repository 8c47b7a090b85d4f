package cpu

/*
#cgo CFLAGS: -I${SRCDIR}/../../cuda/include -O3 -std=c11 -Wall -Wextra -Wno-psabi
#cgo LDFLAGS: -lm -lpthread
#include "nanofleet.h"
*/
import "C"

import (
	"unsafe"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
)

// Backend is the processor. It satisfies engine.Backend.
type Backend struct{ *capi.Engine }

// New makes a backend within limits. Threads 0 is one for each physical core; ISA
// "" is the best of "plain", "avx2" and "avx512" that the processor has.
func New(limits abi.Limits) (*Backend, error) {
	e, err := capi.New("cpu", table(), limits, nil)
	if err != nil {
		return nil, err
	}
	return &Backend{e}, nil
}

// Probe describes the processor.
func Probe() (abi.ProbeInfo, error) { return capi.Probe(table()) }

func table() unsafe.Pointer { return unsafe.Pointer(C.nf_open(abi.Version)) }
