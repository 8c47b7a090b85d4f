package state

import (
	"errors"
	"math"
	"math/bits"
)

// SetInstances changes which instances of one deployment shall run. It was planned on
// a snapshot, so each part is checked again here: what is gone is not removed twice,
// what no longer fits is left out, and the rest is taken. It is refused only when
// nothing of it could be taken.
type SetInstances struct {
	Project    string     `json:"project"`
	Deployment string     `json:"deployment"`
	Add        []Instance `json:"add,omitempty"`
	Remove     []string   `json:"remove,omitempty"` // instance ids
}

// Kind of command.
func (*SetInstances) Kind() Kind { return KindSetInstances }

func (i *Instance) check() error {
	if _, ok := i.Footprint.sum(); !ok {
		return invalid("instance", i.ID, "footprint", "over %d bytes", uint64(math.MaxUint64))
	}
	return firstOf(
		checkName("instance", "id", i.ID),
		checkName("instance", "device", i.Device),
		i.Options.check("instance", i.ID),
		checkTime("instance", i.ID, "created_ms", i.CreatedMS),
	)
}

// sum is Total, told apart from a sum that overflows.
func (f Footprint) sum() (total uint64, ok bool) {
	for _, part := range []uint64{f.Weights, f.KV, f.Activations, f.Workspace} {
		var carry uint64
		if total, carry = bits.Add64(total, part, 0); carry != 0 {
			return 0, false
		}
	}
	return total, true
}

func (c *SetInstances) apply(tx *txn) error {
	taken := 0
	for _, id := range c.Remove {
		i := one[Instance](tx.reader, tableInstances, byID, id)
		if i != nil && i.Project == c.Project && i.Deployment == c.Deployment {
			remove(tx, tableInstances, i)
			taken++
		}
	}
	var refusals []error
	for n := range c.Add {
		i := c.Add[n]
		if err := tx.fits(c, &i); err != nil {
			refusals = append(refusals, err)
			continue
		}
		tx.put(tableInstances, &i)
		taken++
	}
	if taken == 0 && len(refusals) > 0 {
		return conflict("deployment", clip(c.Deployment), "no instance fits: %v", errors.Join(refusals...))
	}
	return nil
}

// fits refuses an instance that cannot run as things are now.
func (tx *txn) fits(c *SetInstances, i *Instance) error {
	if err := i.check(); err != nil {
		return err
	}
	if i.Project != c.Project || i.Deployment != c.Deployment {
		return conflict("instance", i.ID, "of deployment %q, not %q", clip(i.Deployment), clip(c.Deployment))
	}
	if one[Instance](tx.reader, tableInstances, byID, i.ID) != nil {
		return exists("instance", i.ID)
	}
	if one[Deployment](tx.reader, tableDeployments, byID, i.Project, i.Deployment) == nil {
		return notFound("deployment", clip(i.Deployment))
	}
	v := one[Version](tx.reader, tableVersions, byID, i.Version)
	if v == nil || v.Project != i.Project || v.Model != i.Model {
		return &Error{Reason: ErrNotFound, Kind: "version", Name: clip(i.Version), Detail: "not of model " + clip(i.Model)}
	}
	return tx.fitsDevice(i)
}

// fitsDevice refuses an instance whose device is gone or too full.
func (tx *txn) fitsDevice(i *Instance) error {
	node := one[Node](tx.reader, tableNodes, byID, i.Node)
	if node == nil || node.RevokedMS != 0 {
		return notFound("node", clip(i.Node))
	}
	dev, ok := node.device(i.Device)
	if !ok {
		return notFound("device", clip(i.Device))
	}
	free := dev.MemoryBytes
	for _, other := range all[Instance](tx.reader, tableInstances, byNode, i.Node) {
		if other.Device == i.Device {
			free -= min(free, other.Footprint.Total())
		}
	}
	if need := i.Footprint.Total(); need > free {
		return conflict("instance", i.ID, "needs %d bytes, device %s of node %s has %d free", need, i.Device, i.Node, free)
	}
	return nil
}
