package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// helloTimeout bounds the wait for an agent's first words.
const helloTimeout = 5 * time.Second

// session serves one agent's SESSION stream until either side ends it.
func (s *Server) session(ctx context.Context, conn *transport.Conn, st *transport.Stream) error {
	hello, err := readHello(st)
	if err != nil {
		return err
	}
	node, err := s.member(conn.Peer())
	if err != nil {
		return err
	}
	if hello.GetNodeId() != node.ID {
		return fmt.Errorf("hello names node %q, the certificate %q", hello.GetNodeId(), node.ID)
	}
	if err := s.register(ctx, node, hello); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if old := s.table.connect(node.ID, conn); old != nil {
		// Its process is gone: requests on it must not wait until silence proves that.
		old.Close("replaced by a newer session")
	}
	defer s.table.disconnect(node.ID, conn)
	s.log.Info("agent connected", "node", node.ID, "hostname", hello.GetHostname(), "version", hello.GetVersion())
	go func() {
		defer cancel()
		defer st.Cancel() // wakes the reader
		if err := s.instruct(ctx, node.ID, st); err != nil && ctx.Err() == nil {
			s.log.Info("cannot instruct agent", "node", node.ID, "reason", err)
		}
	}()
	return s.listen(node.ID, st)
}

func readHello(st *transport.Stream) (*wire.AgentHello, error) {
	_ = st.SetReadDeadline(time.Now().Add(helloTimeout))
	var up wire.AgentUp
	if err := wire.ReadFrame(st, &up); err != nil {
		return nil, err
	}
	_ = st.SetReadDeadline(time.Time{})
	if up.GetHello() == nil {
		return nil, errors.New("a session must begin with a hello")
	}
	return up.GetHello(), nil
}

// register records what the host has, when that changed.
func (s *Server) register(ctx context.Context, node state.Node, hello *wire.AgentHello) error {
	next := node
	next.Hostname, next.Version = hello.GetHostname(), hello.GetVersion()
	next.Devices = nil
	for _, d := range hello.GetDevices() {
		next.Devices = append(next.Devices, state.Device{
			ID: d.GetId(), Kind: d.GetKind(), Name: d.GetName(), MemoryBytes: d.GetMemoryTotal(), Cores: d.GetCores(),
		})
	}
	if next.Hostname == node.Hostname && next.Version == node.Version && slices.Equal(next.Devices, node.Devices) {
		return nil
	}
	return s.replica.Apply(ctx, &state.PutNode{Node: next})
}

// listen takes in what the agent reports.
func (s *Server) listen(node string, st *transport.Stream) error {
	for {
		var up wire.AgentUp
		if err := wire.ReadFrame(st, &up); err != nil {
			return err
		}
		if t := up.GetTelemetry(); t != nil {
			s.table.report(node, t)
		}
	}
}

// instruct sends the node's desired state, now and whenever it changes, and ends the
// session of a node that was revoked.
func (s *Server) instruct(ctx context.Context, node string, st *transport.Stream) error {
	var sent *wire.Desired
	for {
		changed := s.replica.Watch()
		snap := s.replica.Snapshot()
		if n, ok := snap.Node(node); !ok || n.RevokedMS != 0 {
			return errNotMember
		}
		if next := desired(snap, node); sent == nil || !sameInstances(sent, next) {
			if err := wire.WriteFrame(st, &wire.AgentDown{Down: &wire.AgentDown_Desired{Desired: next}}); err != nil {
				return err
			}
			sent = next
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
