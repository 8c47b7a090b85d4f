package coordinator

import (
	"context"

	"github.com/nanofleet/nanofleet/coordinator/agents"
	"github.com/nanofleet/nanofleet/coordinator/registry"
	"github.com/nanofleet/nanofleet/coordinator/router"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/wire"
)

// routeView shows the router which instances serve a model name, and opens streams
// to them.
type routeView struct {
	replica  *replica
	table    *agents.Table
	registry *registry.Registry
}

func serving(st *wire.InstanceStatus) bool {
	return st.GetState() == wire.InstanceState_INSTANCE_STATE_READY
}

// Candidates lists the instances behind a route; known is false when the project has
// no such route.
func (v *routeView) Candidates(project, model string) (list []router.Candidate, known bool) {
	snap := v.replica.Snapshot()
	route, ok := snap.Route(project, model)
	if !ok {
		return nil, false
	}
	for _, t := range route.Targets {
		for _, i := range snap.InstancesOf(project, t.Deployment) {
			st, live := v.table.Instance(i.Node, i.ID)
			stats := st.GetStats()
			list = append(list, router.Candidate{
				Instance:             i.ID,
				Node:                 i.Node,
				Deployment:           i.Deployment,
				Version:              i.Version,
				EOS:                  v.eos(snap, i.Version),
				Restarts:             st.GetRestarts(),
				Ready:                live && serving(st),
				Running:              int(stats.GetRunning()),
				Waiting:              int(stats.GetWaiting()),
				MaxRunning:           int(st.GetReady().GetMaxRunning()),
				QueuedUncachedTokens: int(stats.GetQueuedUncachedTokens()),
				PrefillRate:          stats.GetPrefillRate(),
				DecodeRate:           stats.GetDecodeRate(),
				PagesUsed:            int(stats.GetPagesUsed()),
				PagesTotal:           int(stats.GetPagesTotal()),
				InFlight:             v.table.InFlight(i.Node, i.ID),
			})
		}
	}
	return list, true
}

// eos gives the tokens that end a version's texts; none while its files are not here.
func (v *routeView) eos(snap *state.Snapshot, version string) []int32 {
	ver, ok := snap.Version(version)
	if !ok {
		return nil
	}
	meta, err := v.registry.Meta(ver)
	if err != nil {
		return nil
	}
	return meta.EOS
}

// Changed gives a channel that is closed when candidates may have changed.
func (v *routeView) Changed() <-chan struct{} { return v.table.Changed() }

// Generate opens a request stream to an instance.
func (v *routeView) Generate(ctx context.Context, node string, req *wire.GenerateRequest) (router.EventStream, error) {
	return v.table.Generate(ctx, node, req)
}
