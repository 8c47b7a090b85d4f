package admin

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/secrets"
)

func (s *server) keys(a huma.API) {
	huma.Get(a, "/api/v1/keys", s.listKeys, describe("list-keys", "List API keys, revoked ones included"))
	huma.Post(a, "/api/v1/keys", s.createKey, describe("create-key", "Create an API key; its secret is in this answer and nowhere else"), created)
	huma.Delete(a, "/api/v1/keys/{id}", s.revokeKey, describe("revoke-key", "End an API key at once"))
}

func describe(id, summary string) func(*huma.Operation) {
	return func(op *huma.Operation) {
		op.OperationID, op.Summary = id, summary
		op.BodyReadTimeout = -1 // a pacedBody sees to it
	}
}

func created(op *huma.Operation) { op.DefaultStatus = http.StatusCreated }

func (s *server) listKeys(ctx context.Context, _ *struct{}) (*out[[]api.Key], error) {
	keys := s.Replica.Snapshot().Keys(caller(ctx).Project)
	list := make([]api.Key, 0, len(keys))
	for _, k := range keys {
		list = append(list, keyView(k))
	}
	return reply(list), nil
}

func (s *server) createKey(ctx context.Context, req *in[api.KeySpec]) (*out[api.NewKey], error) {
	role := state.RoleUser
	if req.Body.Role != "" {
		role = state.Role(req.Body.Role)
	}
	secret, err := secrets.NewKey(rand.Reader)
	if err != nil {
		return nil, problem(err)
	}
	k := state.Key{
		ID: s.NewID(), Project: caller(ctx).Project, Name: req.Body.Name, Role: role,
		Hash: secrets.Hash(secret), Hint: secrets.Hint(secret), CreatedMS: s.Now().UnixMilli(),
	}
	if err := s.Replica.Apply(ctx, &state.CreateKey{Key: k}); err != nil {
		return nil, problem(err)
	}
	return reply(api.NewKey{Key: keyView(k), Secret: secret}), nil
}

func (s *server) revokeKey(ctx context.Context, req *struct {
	ID string `path:"id"`
}) (*struct{}, error) {
	c := caller(ctx)
	if req.ID == c.KeyID {
		return nil, huma.Error409Conflict("a key cannot revoke itself; use another admin key")
	}
	cmd := &state.RevokeKey{Project: c.Project, ID: req.ID, NowMS: s.Now().UnixMilli()}
	if err := s.Replica.Apply(ctx, cmd); err != nil {
		return nil, problem(err)
	}
	return nil, nil
}

func keyView(k state.Key) api.Key {
	return api.Key{
		ID: k.ID, Name: k.Name, Project: k.Project, Role: string(k.Role), Hint: k.Hint,
		Created: at(k.CreatedMS), Revoked: at(k.RevokedMS),
	}
}

// tokenTTL bounds how long a join token may be good.
const (
	tokenTTLDefault = time.Hour
	tokenTTLMax     = 7 * 24 * time.Hour
)

func parseTTL(s string) (time.Duration, error) {
	if s == "" {
		return tokenTTLDefault, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > tokenTTLMax {
		return 0, huma.Error422UnprocessableEntity(fmt.Sprintf("ttl: %q, must be a duration from 1s to %s", s, tokenTTLMax))
	}
	return d, nil
}
