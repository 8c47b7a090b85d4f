package coordinator

import (
	"slices"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/registry"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/gateway"
	"github.com/nanofleet/nanofleet/wire"
)

// catalog shows the gateway the models apps may name: the routes of their project.
type catalog struct {
	replica  *replica
	registry *registry.Registry
}

// Resolve finds what the gateway needs to render and tokenise for a model name.
func (c *catalog) Resolve(project, name string) (*gateway.Model, error) {
	snap := c.replica.Snapshot()
	route, ok := snap.Route(project, name)
	if !ok {
		return nil, gateway.ErrNoModel
	}
	d, v, ok := firstTarget(snap, route)
	if !ok {
		return nil, gateway.ErrNoModel
	}
	meta, err := c.registry.Meta(v)
	if err != nil {
		return nil, err
	}
	context := meta.Context
	if d.Options.Context != 0 {
		context = min(context, d.Options.Context)
	}
	return &gateway.Model{
		Name:       route.Name,
		Deployment: d.Name,
		Tokenizer:  meta.Tokenizer,
		Template:   meta.Template,
		Templates:  meta.Templates,
		Context:    int(context),
		Width:      int(meta.Config.Hidden),
		Pooling:    poolings[meta.Config.Pooling.Mode],
		RawVectors: meta.Config.Pooling.Raw,
		BOS:        meta.BOSText,
		EOS:        meta.EOSText,
		Created:    time.UnixMilli(route.CreatedMS),
	}, nil
}

// poolings are the modes of a model's files as the wire has them.
var poolings = map[string]wire.Pooling{model.PoolLast: wire.Pooling_POOLING_LAST, model.PoolMean: wire.Pooling_POOLING_MEAN}

// firstTarget gives the deployment and version that a route's text is prepared for.
// Targets of one route share a tokenizer: they are versions of one model.
func firstTarget(snap *state.Snapshot, r state.Route) (state.Deployment, state.Version, bool) {
	for _, t := range r.Targets {
		d, ok := snap.Deployment(r.Project, t.Deployment)
		if !ok {
			continue
		}
		if v, ok := snap.Version(d.Version); ok {
			return d, v, true
		}
	}
	return state.Deployment{}, state.Version{}, false
}

// List gives the model names of a project, sorted.
func (c *catalog) List(project string) []gateway.ModelInfo {
	routes := c.replica.Snapshot().Routes(project)
	list := make([]gateway.ModelInfo, 0, len(routes))
	for _, r := range routes {
		list = append(list, gateway.ModelInfo{Name: r.Name, Created: time.UnixMilli(r.CreatedMS)})
	}
	slices.SortFunc(list, func(a, b gateway.ModelInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list
}
