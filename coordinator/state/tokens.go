package state

import (
	"crypto/subtle"
	"time"
)

// CreateJoinToken records a token; its secret was shown once and is not here. Tokens
// that ended more than a week before are removed along the way.
type CreateJoinToken struct {
	Token JoinToken `json:"token"`
}

// UseJoinToken spends a token and registers the node that showed its secret, both or
// neither.
type UseJoinToken struct {
	ID         string `json:"id"`
	SecretHash string `json:"secret_hash"` // hex sha256 of the secret that was shown
	Node       Node   `json:"node"`
	NowMS      int64  `json:"now_ms"`
}

// tokenKeptMS is how long an expired token is kept for people to look at.
const tokenKeptMS = int64(7 * 24 * time.Hour / time.Millisecond)

// Kind of command.
func (*CreateJoinToken) Kind() Kind { return KindCreateJoinToken }

// Kind of command.
func (*UseJoinToken) Kind() Kind { return KindUseJoinToken }

func (t *JoinToken) check() error {
	if t.ExpiresMS <= t.CreatedMS {
		return invalid("join token", t.ID, "expires_ms", "%d, want after created_ms %d", t.ExpiresMS, t.CreatedMS)
	}
	if (t.UsedMS == 0) != (t.UsedBy == "") {
		return invalid("join token", t.ID, "used_by", "%q at %d, want both or neither", clip(t.UsedBy), t.UsedMS)
	}
	return firstOf(
		checkName("join token", "id", t.ID),
		checkHash("join token", t.ID, "hash", t.Hash),
		checkRole("join token", t.ID, t.Role),
		checkTime("join token", t.ID, "created_ms", t.CreatedMS),
		checkTime("join token", t.ID, "expires_ms", t.ExpiresMS),
		checkTime("join token", t.ID, "used_ms", t.UsedMS),
	)
}

func (c *CreateJoinToken) apply(tx *txn) error {
	t := c.Token
	if err := t.check(); err != nil {
		return err
	}
	if t.UsedMS != 0 {
		return invalid("join token", t.ID, "used_ms", "%d, want 0 in a new token", t.UsedMS)
	}
	if one[JoinToken](tx.reader, tableTokens, byID, t.ID) != nil {
		return exists("join token", t.ID)
	}
	for _, old := range all[JoinToken](tx.reader, tableTokens, byID) {
		if old.ExpiresMS+tokenKeptMS < t.CreatedMS {
			remove(tx, tableTokens, old)
		}
	}
	tx.put(tableTokens, &t)
	return nil
}

func (c *UseJoinToken) apply(tx *txn) error {
	old := one[JoinToken](tx.reader, tableTokens, byID, c.ID)
	// Who shows a wrong id learns no more than who shows a wrong secret.
	if old == nil || subtle.ConstantTimeCompare([]byte(old.Hash), []byte(c.SecretHash)) != 1 {
		return denied(clip(c.ID), "no such token, or another secret")
	}
	if err := old.usable(c); err != nil {
		return err
	}
	if err := c.Node.check(); err != nil {
		return err
	}
	if one[Node](tx.reader, tableNodes, byID, c.Node.ID) != nil {
		return exists("node", c.Node.ID)
	}
	t, node := *old, c.Node
	t.UsedMS, t.UsedBy = c.NowMS, node.ID
	node.JoinedMS, node.RevokedMS = c.NowMS, 0
	tx.put(tableTokens, &t)
	tx.put(tableNodes, &node)
	return nil
}

// usable refuses a token whose secret is right.
func (t *JoinToken) usable(c *UseJoinToken) error {
	switch {
	case t.UsedMS != 0:
		return denied(t.ID, "it was used before; make a new one")
	case c.NowMS <= 0:
		return invalid("join token", t.ID, "now_ms", "%d, want more than 0", c.NowMS)
	case c.NowMS >= t.ExpiresMS:
		return denied(t.ID, "it expired at %s; make a new one", time.UnixMilli(t.ExpiresMS).UTC().Format(time.RFC3339))
	case c.Node.Role != t.Role:
		return denied(t.ID, "it lets a node join as %s, not as %s", t.Role, clip(c.Node.Role))
	}
	return nil
}
