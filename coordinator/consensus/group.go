package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/nanofleet/nanofleet/coordinator/consensus/logstore"
)

// Config of a Group. All fields but Bootstrap are required.
type Config struct {
	Dir       string // of this group: raft.db and snapshots/
	NodeID    string
	Group     string // its name in stream headers and logs
	Bootstrap bool   // found the group with this node as its only voter, if Dir holds none
	Layer     *Layer
	Log       *slog.Logger
}

// Timings: a leader that is silent for heartbeatTimeout is voted out.
const (
	heartbeatTimeout  = 300 * time.Millisecond
	electionTimeout   = 300 * time.Millisecond
	leaseTimeout      = 200 * time.Millisecond
	rpcTimeout        = 2 * time.Second
	snapshotsRetained = 2
	streamsPooled     = 3 // per peer
)

// Group is one replicated log. It is safe for concurrent use.
type Group struct {
	raft   *raft.Raft
	trans  *raft.NetworkTransport
	store  *logstore.Store
	closed chan struct{}
}

// Open opens the group in cfg.Dir and starts it: fsm is given the newest snapshot and
// then, as the log is found committed, its entries.
func Open(cfg Config, fsm raft.FSM) (*Group, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	store, err := logstore.Open(filepath.Join(cfg.Dir, "raft.db"))
	if err != nil {
		return nil, err
	}
	g := &Group{store: store, closed: make(chan struct{})}
	if err := g.start(cfg, fsm); err != nil {
		if g.trans != nil {
			err = errors.Join(err, g.trans.Close())
		}
		return nil, errors.Join(fmt.Errorf("consensus: group %q: %w", cfg.Group, err), store.Close())
	}
	return g, nil
}

func (g *Group) start(cfg Config, fsm raft.FSM) error {
	conf := raftConfig(cfg)
	snaps, err := raft.NewFileSnapshotStoreWithLogger(cfg.Dir, snapshotsRetained, conf.Logger)
	if err != nil {
		return err
	}
	g.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: cfg.Layer, MaxPool: streamsPooled, Timeout: rpcTimeout, Logger: conf.Logger,
	})
	if cfg.Bootstrap {
		if err := g.found(conf, snaps); err != nil {
			return err
		}
	}
	g.raft, err = raft.NewRaft(conf, fsm, g.store, g.store, snaps, g.trans)
	return err
}

// found makes this node the only voter of a group that has no state yet.
func (g *Group) found(conf *raft.Config, snaps raft.SnapshotStore) error {
	has, err := raft.HasExistingState(g.store, g.store, snaps)
	if err != nil || has {
		return err
	}
	voters := raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: g.trans.LocalAddr()}}}
	return raft.BootstrapCluster(conf, g.store, g.store, snaps, g.trans, voters)
}

func raftConfig(cfg Config) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.NodeID)
	c.HeartbeatTimeout = heartbeatTimeout
	c.ElectionTimeout = electionTimeout
	c.LeaderLeaseTimeout = leaseTimeout
	c.BatchApplyCh = true
	c.NoLegacyTelemetry = true
	c.Logger = raftLog(cfg.Log, cfg.Group)
	return c
}

// IsLeader tells whether this node leads, as far as it knows.
func (g *Group) IsLeader() bool { return g.raft.State() == raft.Leader }

// LeaderCh tells of leadership won (true) and lost; it drops what nobody receives.
func (g *Group) LeaderCh() <-chan bool { return g.raft.LeaderCh() }

// Leader is the leading node and its address; empty when none is known.
func (g *Group) Leader() (nodeID, addr string) {
	a, id := g.raft.LeaderWithID()
	return string(id), string(a)
}

// Close stops the node and lets go of its files; it is called once. Other voters go
// on without it.
func (g *Group) Close() error {
	close(g.closed)
	err := g.raft.Shutdown().Error()
	return errors.Join(err, g.trans.Close(), g.store.Close())
}

// Snapshot writes the state machine's state and drops the log before it.
func (g *Group) Snapshot(ctx context.Context) error { return verdict(g.wait(ctx, g.raft.Snapshot())) }
