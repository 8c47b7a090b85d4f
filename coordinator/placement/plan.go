package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nanofleet/nanofleet/coordinator/state"
)

// Node is a host as placement sees it.
type Node struct {
	ID      string
	Usable  bool // connected, or silent for less than the grace
	Devices []state.Device
}

// Input is a snapshot of the fleet.
type Input struct {
	Deployments []state.Deployment
	Instances   []state.Instance
	Nodes       []Node
	Ready       map[string]bool // instance ids that can serve
	NowMS       int64
	NewID       func() string // ids for new instances
	// Fit gives what one replica of d takes on a device: the options resolved for
	// it and their exact footprint. An error says why it cannot run there.
	Fit func(d state.Deployment, dev state.Device) (state.EngineOptions, state.Footprint, error)
}

// Decision changes the instances of one deployment. Problem says, for people, why
// replicas are missing; it and Old are set whether or not anything changes.
type Decision struct {
	Project, Deployment string
	Add                 []state.Instance
	Remove              []string
	Old                 []string // ids of what stays until there is a replacement
	Problem             string
}

// Changed tells whether the decision asks for anything.
func (d Decision) Changed() bool { return len(d.Add)+len(d.Remove) > 0 }

// Plan decides for every deployment, in order of name, so that the same input gives
// the same plan. Decisions that say nothing are left out.
func Plan(in Input) []Decision {
	p := newPlanner(in)
	var out []Decision
	for _, d := range p.deployments() {
		if dec := p.decide(d); dec.Changed() || dec.Problem != "" || len(dec.Old) > 0 {
			out = append(out, dec)
		}
	}
	return append(out, p.orphans()...)
}

type planner struct {
	in   Input
	free map[slot]int64 // bytes left on each device of a usable node
	held map[owner][]state.Instance
}

type slot struct{ node, device string }

type owner struct{ project, deployment string }

func newPlanner(in Input) *planner {
	p := &planner{in: in, free: map[slot]int64{}, held: map[owner][]state.Instance{}}
	for _, n := range in.Nodes {
		if !n.Usable {
			continue
		}
		for _, dev := range n.Devices {
			p.free[slot{n.ID, dev.ID}] = int64(dev.MemoryBytes)
		}
	}
	for _, i := range in.Instances {
		o := owner{i.Project, i.Deployment}
		p.held[o] = append(p.held[o], i)
		p.take(i, +1)
	}
	for _, list := range p.held {
		slices.SortFunc(list, func(a, b state.Instance) int {
			return cmp.Or(cmp.Compare(a.CreatedMS, b.CreatedMS), cmp.Compare(a.ID, b.ID))
		})
	}
	return p
}

// take reserves (+1) or returns (-1) an instance's bytes on its device.
func (p *planner) take(i state.Instance, sign int64) {
	s := slot{i.Node, i.Device}
	if _, ok := p.free[s]; ok {
		p.free[s] -= sign * int64(i.Footprint.Total())
	}
}

func (p *planner) deployments() []state.Deployment {
	ds := slices.Clone(p.in.Deployments)
	slices.SortFunc(ds, func(a, b state.Deployment) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Name, b.Name))
	})
	return ds
}

// decide compares what a deployment has with what it wants.
func (p *planner) decide(d state.Deployment) Decision {
	dec := Decision{Project: d.Project, Deployment: d.Name}
	current, old := p.split(d, &dec)
	for len(current) > d.Replicas {
		last := p.surplus(current)
		dec.Remove = append(dec.Remove, current[last].ID)
		p.take(current[last], -1)
		current = slices.Delete(current, last, last+1)
	}
	missing := d.Replicas - len(current)
	for range missing {
		inst, why := p.place(d, current)
		if why != nil {
			old = p.makeRoom(d, current, old, why, &dec)
			break
		}
		dec.Add = append(dec.Add, inst)
		current = append(current, inst)
		p.take(inst, +1)
	}
	gone, kept := p.retire(d, current, old)
	dec.Remove = append(dec.Remove, gone...)
	for _, i := range kept {
		dec.Old = append(dec.Old, i.ID)
	}
	return dec
}

// makeRoom gives up one old instance where an empty device would fit the new
// version: there is no room beside what runs. Without such a device the deployment
// has a problem, and what serves goes on serving; so it does until the replica that was
// given room before is ready.
func (p *planner) makeRoom(d state.Deployment, current, old []state.Instance, why *reasons, dec *Decision) []state.Instance {
	for n, i := range old {
		if why.crowded[slot{i.Node, i.Device}] {
			if p.ready(current) < len(current) {
				return old
			}
			dec.Remove = append(dec.Remove, i.ID)
			p.take(i, -1)
			return slices.Delete(old, n, n+1)
		}
	}
	dec.Problem = why.text(d)
	return old
}

// split drops instances whose node is gone and parts the rest into those of the
// wanted version and options and those of an older one.
func (p *planner) split(d state.Deployment, dec *Decision) (current, old []state.Instance) {
	for _, i := range p.held[owner{d.Project, d.Name}] {
		switch _, here := p.free[slot{i.Node, i.Device}]; {
		case !here:
			dec.Remove = append(dec.Remove, i.ID)
		case i.Version == d.Version && p.sameFit(d, i, dec):
			current = append(current, i)
		default:
			old = append(old, i)
		}
	}
	return current, old
}

// sameFit tells whether the instance is what the deployment would get on that device
// today: the same options and, since engines hold themselves to it, the same bytes. What
// cannot be had is a problem, and what serves goes on serving.
func (p *planner) sameFit(d state.Deployment, i state.Instance, dec *Decision) bool {
	opts, bytes, err := p.in.Fit(d, p.device(i.Node, i.Device))
	if err != nil {
		dec.Problem = fmt.Sprintf("%s runs on as it was: %v", i.ID, err)
		return true
	}
	return opts == i.Options && bytes == i.Footprint
}

func (p *planner) device(node, id string) state.Device {
	for _, n := range p.in.Nodes {
		for _, dev := range n.Devices {
			if n.ID == node && dev.ID == id {
				return dev
			}
		}
	}
	return state.Device{}
}

// surplus picks the replica to give up: one that cannot serve yet, else the newest.
func (p *planner) surplus(list []state.Instance) int {
	for i := len(list) - 1; i >= 0; i-- {
		if !p.in.Ready[list[i].ID] {
			return i
		}
	}
	return len(list) - 1
}

// retire removes as many old instances as new ones have become ready to replace.
func (p *planner) retire(d state.Deployment, current, old []state.Instance) (gone []string, kept []state.Instance) {
	keep := max(d.Replicas-p.ready(current), 0)
	for len(old) > keep {
		last := p.surplus(old)
		gone = append(gone, old[last].ID)
		p.take(old[last], -1)
		old = slices.Delete(old, last, last+1)
	}
	return gone, old
}

// ready counts those that can serve.
func (p *planner) ready(list []state.Instance) (n int) {
	for _, i := range list {
		if p.in.Ready[i.ID] {
			n++
		}
	}
	return n
}

// orphans removes instances whose deployment is gone.
func (p *planner) orphans() []Decision {
	known := map[owner]bool{}
	for _, d := range p.in.Deployments {
		known[owner{d.Project, d.Name}] = true
	}
	var out []Decision
	for o, list := range p.held {
		if known[o] {
			continue
		}
		dec := Decision{Project: o.project, Deployment: o.deployment}
		for _, i := range list {
			dec.Remove = append(dec.Remove, i.ID)
		}
		out = append(out, dec)
	}
	slices.SortFunc(out, func(a, b Decision) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Deployment, b.Deployment))
	})
	return out
}
