package capi

/*
#cgo CFLAGS: -I${SRCDIR}/../../../cuda/include
#include "capi.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Engine is a backend behind a function table.
type Engine struct {
	api     *C.nf_api
	handle  *C.nf_engine
	backend string // in the numerics id: "cpu", "cuda"
	limits  abi.Limits
	devices int
	vocab   int
	pool    int // width of a pooled vector
	probe   abi.ProbeInfo
	dtypes  []string // of the matrices put, for the numerics id
	pins    runtime.Pinner
	step    stepBuffers
	result  resultBuffers
}

// Probe describes the hardware that the table's backend finds.
func Probe(table unsafe.Pointer) (abi.ProbeInfo, error) {
	api := (*C.nf_api)(table)
	var info C.nf_probe_info
	info.size = C.uint32_t(unsafe.Sizeof(info))
	if code := C.nfc_probe(api, &info); code != C.NF_OK {
		return abi.ProbeInfo{}, failure(api, nil, "probe", code)
	}
	return abi.ProbeInfo{
		Devices: int(info.n_devices), Name: text(info.name[:]), ISA: text(info.isa[:]), Build: text(info.build[:]),
		MemoryTotal: uint64(info.memory_total), MemoryFree: uint64(info.memory_free),
	}, nil
}

// New makes an engine of the backend behind table, an nf_api that nf_open returned,
// on devices. backend is its name in numerics ids.
func New(backend string, table unsafe.Pointer, limits abi.Limits, devices []int32) (*Engine, error) {
	api := (*C.nf_api)(table)
	if api == nil || C.nfc_version(api) != abi.Version {
		return nil, abi.Errorf(abi.Unsupported, "create", "the backend does not speak ABI %d", abi.Version)
	}
	probe, err := Probe(table)
	if err != nil {
		return nil, err
	}
	e := &Engine{api: api, backend: backend, limits: limits, devices: max(len(devices), 1), probe: probe}
	c := C.nf_limits{
		max_slots: C.uint32_t(limits.MaxSlots), max_rows: C.uint32_t(limits.MaxRows), max_tokens: C.uint32_t(limits.MaxTokens),
		max_positions: C.uint32_t(limits.MaxPositions), n_pages: C.uint32_t(limits.Pages), threads: C.uint32_t(limits.Threads),
		invariant: flag(limits.Invariant), kv_dtype: C.nf_dtype(limits.KVDType), memory_max: C.uint64_t(limits.MemoryMax),
		quant: C.nf_quant(limits.Quant),
	}
	c.size = C.uint32_t(unsafe.Sizeof(c))
	if !put(c.isa[:], limits.ISA) {
		return nil, abi.Errorf(abi.Invalid, "create", "isa = %q, at most %d bytes", limits.ISA, len(c.isa)-1)
	}
	if limits.ISA != "" {
		e.probe.ISA = limits.ISA
	}
	var ids *C.int32_t
	if len(devices) > 0 {
		ids = (*C.int32_t)(unsafe.Pointer(&devices[0]))
	}
	if code := C.nfc_create(api, ids, C.uint32_t(len(devices)), &c, &e.handle); code != C.NF_OK {
		return nil, failure(api, nil, "create", code)
	}
	return e, nil
}

// Probe describes the device this engine runs on.
func (e *Engine) Probe() abi.ProbeInfo { return e.probe }

// NumericsID names what decides a token's bits.
func (e *Engine) NumericsID() string {
	kv, invariant := "kv", ""
	if e.limits.KVDType != 0 {
		kv = e.limits.KVDType.String()
	}
	if e.limits.Invariant {
		invariant = "/inv"
	}
	weights := strings.Join(e.dtypes, "+")
	if e.limits.Quant != abi.QuantNone {
		weights += ">" + e.limits.Quant.String()
	}
	return fmt.Sprintf("%s/%s/%s/%s/%s/tp%d%s", e.backend, e.probe.ISA, e.probe.Build, weights, kv, e.devices, invariant)
}

// Stats counts since New.
func (e *Engine) Stats() abi.Stats {
	var s C.nf_stats
	s.size = C.uint32_t(unsafe.Sizeof(s))
	if e.handle == nil || C.nfc_stats(e.api, e.handle, &s) != C.NF_OK {
		return abi.Stats{}
	}
	return abi.Stats{
		Steps: uint64(s.steps), Tokens: uint64(s.tokens), Sampled: uint64(s.sampled),
		BusyNS: uint64(s.busy_ns), IdleNS: uint64(s.idle_ns), MemoryPeak: uint64(s.memory_peak),
	}
}

// Close ends the backend's threads and frees its memory. No other call may run
// beside it; a second one does nothing.
func (e *Engine) Close() error {
	if e.handle != nil {
		C.nfc_destroy(e.api, e.handle)
		e.handle = nil
		e.pins.Unpin()
		e.step.free()
		e.result.free()
	}
	return nil
}

// noteDType remembers a matrix's element type, sorted and once.
func (e *Engine) noteDType(d abi.DType) {
	if i, found := slices.BinarySearch(e.dtypes, d.String()); !found {
		e.dtypes = slices.Insert(e.dtypes, i, d.String())
	}
}

// done turns a code into an error.
func (e *Engine) done(call string, code C.nf_code) error {
	if code == C.NF_OK {
		return nil
	}
	return failure(e.api, e.handle, call, code)
}

// closed refuses calls after Close.
func (e *Engine) closed(call string) error {
	if e.handle == nil {
		return abi.Errorf(abi.Invalid, call, "the engine is closed")
	}
	return nil
}

func failure(api *C.nf_api, handle *C.nf_engine, call string, code C.nf_code) error {
	return &abi.Error{Code: abi.Code(code), Call: call, Detail: C.GoString(C.nfc_last_error(api, handle))}
}

func flag(b bool) C.uint32_t {
	if b {
		return 1
	}
	return 0
}

// put copies s with a terminator; false when it does not fit.
func put(to []C.char, s string) bool {
	if len(s) >= len(to) || strings.IndexByte(s, 0) >= 0 {
		return false
	}
	for i := range len(s) {
		to[i] = C.char(s[i])
	}
	to[len(s)] = 0
	return true
}

// text reads up to the terminator.
func text(from []C.char) string {
	var b strings.Builder
	for _, c := range from {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}
