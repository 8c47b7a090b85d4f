package state

// PutNode registers a node or replaces what it said about itself: host name, devices,
// version. Role, key and joining stay as they were.
type PutNode struct {
	Node Node `json:"node"`
}

// RevokeNode shuts a node out for good and takes its instances. Revoking it again
// changes nothing.
type RevokeNode struct {
	ID    string `json:"id"`
	NowMS int64  `json:"now_ms"`
}

// RemoveNode forgets a node and takes its instances.
type RemoveNode struct {
	ID string `json:"id"`
}

// Kind of command.
func (*PutNode) Kind() Kind { return KindPutNode }

// Kind of command.
func (*RevokeNode) Kind() Kind { return KindRevokeNode }

// Kind of command.
func (*RemoveNode) Kind() Kind { return KindRemoveNode }

const devicesMax = 64

// checkRole checks a node's role as certificates name it.
func checkRole(kind, name, role string) error {
	if role != "agent" && role != "coordinator" {
		return invalid(kind, name, "role", "%q, want \"agent\" or \"coordinator\"", clip(role))
	}
	return nil
}

func (n *Node) check() error {
	if len(n.Devices) > devicesMax {
		return invalid("node", n.ID, "devices", "%d, at most %d", len(n.Devices), devicesMax)
	}
	seen := map[string]bool{}
	for _, d := range n.Devices {
		if err := firstOf(
			checkName("device of node "+clip(n.ID), "id", d.ID),
			checkName("device of node "+clip(n.ID), "kind", d.Kind),
			checkText("device", d.ID, "name", d.Name),
		); err != nil {
			return err
		}
		if seen[d.ID] {
			return invalid("node", n.ID, "devices", "%q is there twice", d.ID)
		}
		seen[d.ID] = true
	}
	return firstOf(
		checkName("node", "id", n.ID),
		checkRole("node", n.ID, n.Role),
		checkText("node", n.ID, "hostname", n.Hostname),
		checkText("node", n.ID, "version", n.Version),
		checkHash("node", n.ID, "key_hash", n.KeyHash),
		checkTime("node", n.ID, "joined_ms", n.JoinedMS),
		checkTime("node", n.ID, "revoked_ms", n.RevokedMS),
	)
}

// device finds one of the node's devices.
func (n *Node) device(id string) (Device, bool) {
	for _, d := range n.Devices {
		if d.ID == id {
			return d, true
		}
	}
	return Device{}, false
}

func (c *PutNode) apply(tx *txn) error {
	n := c.Node
	if err := n.check(); err != nil {
		return err
	}
	old := one[Node](tx.reader, tableNodes, byID, n.ID)
	if old == nil {
		if n.RevokedMS != 0 {
			return invalid("node", n.ID, "revoked_ms", "%d, want 0 in a new node", n.RevokedMS)
		}
		tx.put(tableNodes, &n)
		return nil
	}
	if n.KeyHash != old.KeyHash || n.Role != old.Role {
		return conflict("node", n.ID, "it joined as another: key or role differ")
	}
	n.JoinedMS, n.RevokedMS = old.JoinedMS, old.RevokedMS
	tx.put(tableNodes, &n)
	return nil
}

func (c *RevokeNode) apply(tx *txn) error {
	old := one[Node](tx.reader, tableNodes, byID, c.ID)
	if old == nil {
		return notFound("node", clip(c.ID))
	}
	if c.NowMS <= 0 {
		return invalid("node", c.ID, "now_ms", "%d, want more than 0", c.NowMS)
	}
	if old.RevokedMS != 0 {
		return nil
	}
	n := *old
	n.RevokedMS = c.NowMS
	if err := n.check(); err != nil {
		return err
	}
	tx.put(tableNodes, &n)
	remove(tx, tableInstances, all[Instance](tx.reader, tableInstances, byNode, n.ID)...)
	return nil
}

func (c *RemoveNode) apply(tx *txn) error {
	n := one[Node](tx.reader, tableNodes, byID, c.ID)
	if n == nil {
		return notFound("node", clip(c.ID))
	}
	remove(tx, tableInstances, all[Instance](tx.reader, tableInstances, byNode, n.ID)...)
	remove(tx, tableNodes, n)
	return nil
}
