package registry

import (
	"net/http"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/inspect"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// Inspect tells what a version's files say.
func (r *Registry) Inspect(v state.Version, tensors bool) (api.Inspection, error) {
	r.mu.Lock()
	path, err := r.assemble(v)
	r.mu.Unlock()
	if err != nil {
		return api.Inspection{}, err
	}
	return inspect.Model(path, tensors)
}

// Plan computes what a version needs on a device.
func (r *Registry) Plan(v state.Version, spec api.PlanSpec) (api.Plan, error) {
	meta, err := r.Meta(v)
	if err != nil {
		return api.Plan{}, err
	}
	p, err := inspect.Plan(meta, spec)
	if err != nil {
		return p, refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	return p, nil
}
