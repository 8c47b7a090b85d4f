package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/agents"
	"github.com/nanofleet/nanofleet/coordinator/placement"
	"github.com/nanofleet/nanofleet/coordinator/registry"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// placer is the leader's placement loop: it looks at the fleet whenever state or a
// report changes, and commits what placement decides.
type placer struct {
	replica  *replica
	table    *agents.Table
	registry *registry.Registry
	live     *liveView
	now      func() time.Time
	newID    func() string
	log      *slog.Logger
}

// placeEvery bounds how often placement runs however much is reported.
const placeEvery = 20 * time.Millisecond

// run places until ctx ends.
func (p *placer) run(ctx context.Context) error {
	for {
		stateChanged, reported := p.replica.Watch(), p.table.Changed()
		p.place(ctx)
		var deadline <-chan time.Time
		if at, ok := p.table.NextDeadline(); ok {
			deadline = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-stateChanged:
		case <-reported:
		case <-deadline:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(placeEvery):
		}
	}
}

// place decides once and commits the changes. State re-checks each command, so a
// decision on an old snapshot is refused, not harmful, and made again.
func (p *placer) place(ctx context.Context) {
	in := p.input()
	placed := newPlaced(in.Deployments)
	for _, d := range placement.Plan(in) {
		placed.decided(d)
		if !d.Changed() {
			continue
		}
		cmd := &state.SetInstances{Project: d.Project, Deployment: d.Deployment, Add: d.Add, Remove: d.Remove}
		err := p.replica.Apply(ctx, cmd)
		switch {
		case err == nil:
			p.log.Info("placed", "deployment", d.Deployment, "added", len(d.Add), "removed", len(d.Remove))
		case errors.Is(err, context.Canceled):
			return
		default:
			placed.refused(d)
			p.log.Warn("placement was refused", "deployment", d.Deployment, "reason", err)
		}
	}
	p.live.setPlaced(placed)
}

func (p *placer) input() placement.Input {
	snap := p.replica.Snapshot()
	in := placement.Input{
		Deployments: snap.Deployments(""),
		Instances:   snap.Instances(),
		Ready:       map[string]bool{},
		NowMS:       p.now().UnixMilli(),
		NewID:       func() string { return "inst-" + p.newID() },
		Fit: func(d state.Deployment, dev state.Device) (state.EngineOptions, state.Footprint, error) {
			return p.registry.Fit(snap, d, dev)
		},
	}
	for _, n := range snap.Nodes() {
		if n.RevokedMS == 0 && len(n.Devices) > 0 {
			in.Nodes = append(in.Nodes, placement.Node{ID: n.ID, Usable: p.table.Usable(n.ID), Devices: n.Devices})
		}
	}
	for _, i := range in.Instances {
		st, live := p.table.Instance(i.Node, i.ID)
		in.Ready[i.ID] = live && serving(st)
	}
	return in
}
