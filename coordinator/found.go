package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/atomicfile"
	"github.com/nanofleet/nanofleet/internal/secrets"
)

// ensureAdminKey makes sure that an admin key exists and lies in path. The file is
// written first: a crash in between leaves a key that the next start records, never
// a recorded key that nobody has.
func ensureAdminKey(ctx context.Context, r *replica, path string, newID func() string, now time.Time) error {
	secret, err := readSecret(path)
	if err != nil {
		return err
	}
	snap := r.Snapshot()
	if secret != "" {
		if _, known := snap.KeyByHash(secrets.Hash(secret)); known {
			return nil
		}
	}
	if hasAdmin(snap) {
		return nil // made or revoked by an operator: theirs to keep
	}
	if secret == "" {
		if secret, err = secrets.NewKey(rand.Reader); err != nil {
			return err
		}
		if err := atomicfile.Write(path, []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
	}
	return r.Apply(ctx, &state.CreateKey{Key: state.Key{
		ID: "key-" + newID(), Project: state.DefaultProject, Name: "admin", Role: state.RoleAdmin,
		Hash: secrets.Hash(secret), Hint: secrets.Hint(secret), CreatedMS: now.UnixMilli(),
	}})
}

func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

func hasAdmin(snap *state.Snapshot) bool {
	for _, k := range snap.Keys(state.DefaultProject) {
		if k.Role == state.RoleAdmin && k.RevokedMS == 0 {
			return true
		}
	}
	return false
}
