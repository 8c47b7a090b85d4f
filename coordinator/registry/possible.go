package registry

import (
	"slices"

	"github.com/nanofleet/nanofleet/coordinator/placement"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// anyDevices stand for those of hosts that have not joined.
var anyDevices = []state.Device{{Kind: "cpu"}, {Kind: "cuda"}}

// Possible refuses options that no device which their backend runs on can meet. Room is
// not looked at: it comes and goes, and placement says what lacks. Nor are files that
// this coordinator cannot read judged.
func (r *Registry) Possible(v state.Version, o state.EngineOptions, devices []state.Device) error {
	meta, err := r.Meta(v)
	if err != nil {
		return nil
	}
	var refusal error
	for _, dev := range suited(o.Backend, devices) {
		_, _, err := fit(meta, o, dev)
		if err == nil {
			return nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	return refusal
}

// suited are the devices that a backend runs on; without one, those that may join.
func suited(backend string, devices []state.Device) []state.Device {
	not := func(d state.Device) bool { return !placement.RunsOn(backend, d.Kind) }
	if list := slices.DeleteFunc(slices.Clone(devices), not); len(list) > 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(anyDevices), not)
}
