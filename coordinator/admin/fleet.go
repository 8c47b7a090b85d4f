package admin

import (
	"context"
	"crypto/rand"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/pki"
)

func (s *server) fleet(a huma.API) {
	huma.Get(a, "/api/v1/status", s.status, describe("get-status", "Show the fleet at a glance"))
	huma.Get(a, "/api/v1/nodes", s.listNodes, describe("list-nodes", "List hosts"))
	huma.Delete(a, "/api/v1/nodes/{id}", s.revokeNode, describe("revoke-node", "Take a host out of the fleet; its certificate is refused from then on"))
	huma.Post(a, "/api/v1/tokens", s.createToken, describe("create-token", "Create a token that lets one host join"), created)
}

func (s *server) status(ctx context.Context, _ *struct{}) (*out[api.Status], error) {
	snap := s.Replica.Snapshot()
	return reply(api.Status{
		Version:     s.Version,
		Leader:      s.Replica.Leader(),
		Index:       snap.Index(),
		Nodes:       s.nodeViews(snap),
		Deployments: s.deploymentViews(snap, caller(ctx).Project),
	}), nil
}

func (s *server) listNodes(context.Context, *struct{}) (*out[[]api.Node], error) {
	return reply(s.nodeViews(s.Replica.Snapshot())), nil
}

func (s *server) nodeViews(snap *state.Snapshot) []api.Node {
	list := []api.Node{}
	for _, n := range snap.Nodes() {
		list = append(list, s.nodeView(snap, n))
	}
	return list
}

func (s *server) nodeView(snap *state.Snapshot, n state.Node) api.Node {
	view := api.Node{
		ID: n.ID, Hostname: n.Hostname, Role: n.Role, State: "silent", Version: n.Version,
		Devices: []api.Device{}, Joined: at(n.JoinedMS),
	}
	if live, ok := s.Live.Node(n.ID); ok {
		view.LastSeen = live.LastSeen
		if live.Connected {
			view.State = "connected"
		}
	}
	if n.RevokedMS != 0 {
		view.State = "revoked"
	}
	reserved := map[string]uint64{}
	for _, i := range snap.InstancesOn(n.ID) {
		reserved[i.Device] += i.Footprint.Total()
	}
	for _, d := range n.Devices {
		view.Devices = append(view.Devices, api.Device{
			ID: d.ID, Kind: d.Kind, Name: d.Name, MemoryBytes: d.MemoryBytes, Reserved: reserved[d.ID], Cores: d.Cores,
		})
	}
	return view
}

func (s *server) revokeNode(ctx context.Context, req *struct {
	ID string `path:"id"`
}) (*struct{}, error) {
	cmd := &state.RevokeNode{ID: req.ID, NowMS: s.Now().UnixMilli()}
	if err := s.Replica.Apply(ctx, cmd); err != nil {
		return nil, problem(err)
	}
	return nil, nil
}

func (s *server) createToken(ctx context.Context, req *in[api.TokenSpec]) (*out[api.Token], error) {
	ttl, err := parseTTL(req.Body.TTL)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	tok, err := pki.NewToken(s.CAHash, rand.Reader)
	if err != nil {
		return nil, problem(err)
	}
	jt := state.JoinToken{
		ID: tok.ID, Hash: tok.SecretHash(), Role: string(pki.RoleAgent),
		CreatedMS: now.UnixMilli(), ExpiresMS: now.Add(ttl).UnixMilli(),
	}
	if err := s.Replica.Apply(ctx, &state.CreateJoinToken{Token: jt}); err != nil {
		return nil, problem(err)
	}
	return reply(api.Token{Token: tok.String(), ID: jt.ID, Expires: at(jt.ExpiresMS)}), nil
}
