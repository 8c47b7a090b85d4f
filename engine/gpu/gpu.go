package gpu

import (
	"sync"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/internal/capi"
)

// backend is what engines of this package are called in numerics ids.
const backend = "cuda"

var once = sync.OnceValues(func() (*Library, error) { return load(paths()) })

// Open loads the library, once for the process; later calls give the first answer. A
// failure is an *AbsentError, a *LoadError or a *VersionError.
func Open() (*Library, error) { return once() }

// Probe describes this host's CUDA devices.
func Probe() (abi.ProbeInfo, error) {
	l, err := Open()
	if err != nil {
		return abi.ProbeInfo{}, err
	}
	return l.Probe()
}

// Available is nil when engines can run on this host's GPU: the library is loaded, a
// device is there, and this build of the library makes engines. Otherwise it says
// which of the three is missing.
func Available() error {
	l, err := Open()
	if err != nil {
		return err
	}
	return l.Honours()
}

// New makes an engine on the first device. It satisfies engine.Backend.
func New(limits abi.Limits) (*capi.Engine, error) {
	l, err := Open()
	if err != nil {
		return nil, err
	}
	return l.New(limits)
}
