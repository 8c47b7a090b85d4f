package consensus

import (
	"context"

	"github.com/hashicorp/raft"
)

// Member is one server of a group.
type Member struct {
	NodeID string
	Addr   string // host:port of its fleet port
	Voter  bool
}

// Members of the group as last configured.
func (g *Group) Members() ([]Member, error) {
	f := g.raft.GetConfiguration()
	if err := verdict(f.Error()); err != nil {
		return nil, err
	}
	var list []Member
	for _, s := range f.Configuration().Servers {
		list = append(list, Member{NodeID: string(s.ID), Addr: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	return list, nil
}

// AddVoter adds a node, or moves one to a new address. It works on the leader alone.
func (g *Group) AddVoter(ctx context.Context, nodeID, addr string) error {
	return verdict(g.wait(ctx, g.raft.AddVoter(raft.ServerID(nodeID), raft.ServerAddress(addr), 0, enqueueTimeout)))
}

// Remove takes a node out of the group. It works on the leader alone.
func (g *Group) Remove(ctx context.Context, nodeID string) error {
	return verdict(g.wait(ctx, g.raft.RemoveServer(raft.ServerID(nodeID), 0, enqueueTimeout)))
}
