package placement

import (
	"fmt"

	"github.com/nanofleet/nanofleet/coordinator/state"
)

// candidate is a device that fits one replica.
type candidate struct {
	node     Node
	device   state.Device
	options  state.EngineOptions
	bytes    state.Footprint
	siblings int   // replicas of the deployment on the node
	left     int64 // bytes left over once it is placed
}

// place finds a home for one more replica; without one, reasons say why.
func (p *planner) place(d state.Deployment, siblings []state.Instance) (state.Instance, *reasons) {
	var best *candidate
	why := &reasons{crowded: map[slot]bool{}}
	for _, n := range p.in.Nodes {
		if !n.Usable {
			why.silent++
			continue
		}
		for _, dev := range n.Devices {
			c := p.consider(d, n, dev, siblings, why)
			if c != nil && (best == nil || better(c, best)) {
				best = c
			}
		}
	}
	if best == nil {
		return state.Instance{}, why
	}
	return state.Instance{
		ID:         p.in.NewID(),
		Project:    d.Project,
		Deployment: d.Name,
		Model:      d.Model,
		Version:    d.Version,
		Node:       best.node.ID,
		Device:     best.device.ID,
		Options:    best.options,
		Footprint:  best.bytes,
		CreatedMS:  p.in.NowMS,
	}, nil
}

func (p *planner) consider(d state.Deployment, n Node, dev state.Device, siblings []state.Instance, why *reasons) *candidate {
	if !RunsOn(d.Options.Backend, dev.Kind) {
		why.kind++
		return nil
	}
	opts, bytes, err := p.in.Fit(d, dev)
	if err != nil {
		why.refused(n, dev, err)
		return nil
	}
	left := p.free[slot{n.ID, dev.ID}] - int64(bytes.Total())
	if left < 0 {
		why.tooSmall(n, dev, bytes.Total(), p.free[slot{n.ID, dev.ID}])
		return nil
	}
	c := &candidate{node: n, device: dev, options: opts, bytes: bytes, left: left}
	for _, s := range siblings {
		if s.Node == n.ID {
			c.siblings++
		}
	}
	return c
}

// RunsOn tells whether a backend computes on a kind of device; "" takes any.
func RunsOn(backend, kind string) bool {
	switch backend {
	case "":
		return true
	case "ref":
		return kind == "cpu"
	}
	return backend == kind
}

// better prefers a GPU, then fewer siblings, then the tighter fit, then names.
func better(a, b *candidate) bool {
	if ga, gb := a.device.Kind == "cuda", b.device.Kind == "cuda"; ga != gb {
		return ga
	}
	if a.siblings != b.siblings {
		return a.siblings < b.siblings
	}
	if a.left != b.left {
		return a.left < b.left
	}
	if a.node.ID != b.node.ID {
		return a.node.ID < b.node.ID
	}
	return a.device.ID < b.device.ID
}

// reasons collects why devices were passed over.
type reasons struct {
	silent, kind int
	refusal      string
	need         uint64
	most         int64
	where        string
	crowded      map[slot]bool // devices that would fit a replica if they were empty
}

func (r *reasons) refused(n Node, dev state.Device, err error) {
	r.refusal = fmt.Sprintf("device %s of node %s: %v", dev.ID, n.ID, err)
}

func (r *reasons) tooSmall(n Node, dev state.Device, need uint64, free int64) {
	if r.where == "" || free > r.most {
		r.need, r.most = need, free
		r.where = fmt.Sprintf("device %s of node %s", dev.ID, n.ID)
	}
	if need <= dev.MemoryBytes {
		r.crowded[slot{n.ID, dev.ID}] = true
	}
}

// text says for people why no replica could be placed.
func (r *reasons) text(d state.Deployment) string {
	switch {
	case r.where != "":
		return fmt.Sprintf("a replica needs %s; the most that is free is %s on %s",
			bytesText(r.need), bytesText(uint64(max(r.most, 0))), r.where)
	case r.refusal != "":
		return r.refusal
	case r.kind > 0:
		return fmt.Sprintf("no node has a device for backend %q", d.Options.Backend)
	case r.silent > 0:
		return fmt.Sprintf("none of the fleet's %d agents is connected", r.silent)
	}
	return "no agent has joined; create a token with `nanofleet token create`"
}

func bytesText(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MiB (%d bytes)", float64(n)/(1<<20), n)
}
