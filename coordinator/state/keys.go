package state

// CreateKey records an API key; its secret was shown once and is not here.
type CreateKey struct {
	Key Key `json:"key"`
}

// RevokeKey ends a key for good. Revoking it again changes nothing.
type RevokeKey struct {
	Project string `json:"project"`
	ID      string `json:"id"`
	NowMS   int64  `json:"now_ms"`
}

// Kind of command.
func (*CreateKey) Kind() Kind { return KindCreateKey }

// Kind of command.
func (*RevokeKey) Kind() Kind { return KindRevokeKey }

func (k *Key) check() error {
	if k.Role != RoleAdmin && k.Role != RoleUser {
		return invalid("key", k.ID, "role", "%q, want %q or %q", clip(string(k.Role)), RoleAdmin, RoleUser)
	}
	return firstOf(
		checkName("key", "id", k.ID),
		checkText("key", k.ID, "name", k.Name),
		checkText("key", k.ID, "hint", k.Hint),
		checkHash("key", k.ID, "hash", k.Hash),
		checkTime("key", k.ID, "created_ms", k.CreatedMS),
		checkTime("key", k.ID, "revoked_ms", k.RevokedMS),
	)
}

func (c *CreateKey) apply(tx *txn) error {
	k := c.Key
	if err := firstOf(k.check(), tx.inProject(k.Project)); err != nil {
		return err
	}
	if k.RevokedMS != 0 {
		return invalid("key", k.ID, "revoked_ms", "%d, want 0 in a new key", k.RevokedMS)
	}
	if one[Key](tx.reader, tableKeys, byID, k.ID) != nil {
		return exists("key", k.ID)
	}
	if one[Key](tx.reader, tableKeys, byHash, k.Hash) != nil {
		return conflict("key", k.ID, "its secret is another key's")
	}
	tx.put(tableKeys, &k)
	return nil
}

func (c *RevokeKey) apply(tx *txn) error {
	old := one[Key](tx.reader, tableKeys, byID, c.ID)
	if old == nil || old.Project != c.Project {
		return notFound("key", clip(c.ID))
	}
	if c.NowMS <= 0 {
		return invalid("key", c.ID, "now_ms", "%d, want more than 0", c.NowMS)
	}
	if old.RevokedMS != 0 {
		return nil
	}
	k := *old
	k.RevokedMS = c.NowMS
	if err := k.check(); err != nil {
		return err
	}
	tx.put(tableKeys, &k)
	return nil
}
