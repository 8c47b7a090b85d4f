package gpu

/*
#cgo CFLAGS: -I${SRCDIR}/../../cuda/include
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "load.h"
*/
import "C"

import (
	"errors"
	"io/fs"
	"os"
	"unsafe"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
)

// Library is a loaded CUDA library.
type Library struct {
	path  string
	table unsafe.Pointer // its nf_api, for the process's life
}

// Path is the file it was loaded from.
func (l *Library) Path() string { return l.path }

// Probe describes the devices. Where there is no driver, one too old, no GPU or one
// that the library has no code for, the error says so; it is an *abi.Error.
func (l *Library) Probe() (abi.ProbeInfo, error) { return capi.Probe(l.table) }

// New makes an engine within limits on devices, by index; none is the first.
func (l *Library) New(limits abi.Limits, devices ...int32) (*capi.Engine, error) {
	return capi.New(backend, l.table, limits, devices)
}

// Honours says whether the library makes engines on this host: nil when a device is
// there and create is honoured. It asks for an engine without slots, which a library
// that honours create refuses as invalid before it touches the device.
func (l *Library) Honours() error {
	e, err := l.New(abi.Limits{})
	if errors.Is(err, abi.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.Close()
}

// load tries the paths in order and loads the first file that is there. A file that
// is there and does not load ends the search: silently using another one would hide it.
func load(paths []string) (*Library, error) {
	var tried []string
	for _, path := range paths {
		_, err := os.Stat(path)
		if err == nil {
			return loadFile(path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, &LoadError{Path: path, Reason: err.Error()}
		}
		tried = append(tried, path)
	}
	return nil, &AbsentError{Tried: tried}
}

func loadFile(path string) (*Library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var reason *C.char
	lib := C.nfg_load(name, &reason)
	if lib == nil {
		return nil, &LoadError{Path: path, Reason: C.GoString(reason)}
	}
	open := C.nfg_find(lib, &reason)
	if open == nil {
		return nil, &LoadError{Path: path, Reason: C.GoString(reason)}
	}
	table, err := tableOf(path, open)
	if err != nil {
		return nil, err
	}
	return &Library{path, unsafe.Pointer(table)}, nil
}

// tableOf asks for the table of this build's ABI.
func tableOf(path string, open C.nfg_open) (*C.nf_api, error) {
	table := C.nfg_table(open, abi.Version)
	if table == nil {
		return nil, &VersionError{Path: path, Have: uint32(C.nfg_speaks(open))}
	}
	if v := uint32(table.abi_version); v != abi.Version {
		return nil, &VersionError{Path: path, Have: v}
	}
	if size := uint32(table.size); size < C.sizeof_nf_api {
		return nil, &VersionError{Path: path, Have: abi.Version, Size: size, NeedSize: C.sizeof_nf_api}
	}
	return table, nil
}
