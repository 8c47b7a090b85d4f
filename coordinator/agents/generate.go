package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// ErrNotConnected says that the node has no session with this coordinator.
var ErrNotConnected = errors.New("agents: the node is not connected")

// Generate opens a request stream to the instance that req names on a node. The
// stream ends with ctx.
func (t *Table) Generate(ctx context.Context, nodeID string, req *wire.GenerateRequest) (*Stream, error) {
	conn, err := t.begin(nodeID, req.GetInstance())
	if err != nil {
		return nil, err
	}
	s := &Stream{end: sync.OnceFunc(func() { t.finish(nodeID, req.GetInstance()) })}
	s.st, err = conn.OpenStream(ctx, &wire.StreamHeader{
		Capability: wire.Capability,
		Kind:       wire.StreamKind_STREAM_KIND_GENERATE,
		RequestId:  req.GetRequestId(),
		Project:    req.GetProject(),
	})
	if err != nil {
		s.end()
		return nil, fmt.Errorf("agents: open stream to %s: %w", nodeID, err)
	}
	if err := wire.WriteFrame(s.st, req); err != nil {
		s.Close()
		return nil, fmt.Errorf("agents: send request to %s: %w", nodeID, err)
	}
	s.unhook = context.AfterFunc(ctx, s.st.Cancel)
	return s, nil
}

func (t *Table) begin(nodeID, instance string) (*transport.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil || n.conn == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotConnected, nodeID)
	}
	n.inFlight[instance]++
	return n.conn, nil
}

func (t *Table) finish(nodeID, instance string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n.inFlight[instance]--; n.inFlight[instance] <= 0 {
		delete(n.inFlight, instance)
	}
	t.notify()
}

// Stream carries the events of one request.
type Stream struct {
	st     *transport.Stream
	unhook func() bool
	end    func()
	over   bool
}

// Recv waits for the next event: io.EOF after the last one, another error when the
// stream broke.
func (s *Stream) Recv() (*wire.GenerateEvent, error) {
	if s.over {
		return nil, io.EOF
	}
	ev := &wire.GenerateEvent{}
	if err := wire.ReadFrame(s.st, ev); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the agent must say Finished or Error first
		}
		return nil, err
	}
	switch ev.GetEvent().(type) {
	case *wire.GenerateEvent_Finished, *wire.GenerateEvent_Error:
		s.over = true
	}
	return ev, nil
}

// Close ends the request; an unfinished one is cancelled at its engine.
func (s *Stream) Close() error {
	if s.unhook != nil {
		s.unhook()
	}
	if !s.over {
		s.st.Cancel()
	}
	s.end()
	return s.st.Close()
}
