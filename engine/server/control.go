package server

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/wire"
)

// tellTimeout is how long an agent may take to read an event; then it is cut off,
// since nothing here may wait for it.
const tellTimeout = 5 * time.Second

// control is one agent's connection.
type control struct {
	conn net.Conn
	mu   sync.Mutex // one event at a time
}

// tell writes one event; an agent that does not take it is cut off.
func (c *control) tell(ev *wire.EngineEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(ev)
}

// write is tell for who holds the lock.
func (c *control) write(ev *wire.EngineEvent) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(tellTimeout))
	if wire.WriteFrame(c.conn, ev) != nil {
		c.conn.Close()
	}
}

// tell tells the current agent, if there is one.
func (s *server) tell(ev *wire.EngineEvent) {
	s.mu.Lock()
	c := s.agent
	s.mu.Unlock()
	if c != nil {
		c.tell(ev)
	}
}

// control serves the commands of one agent until it goes or is replaced.
func (s *server) control(conn net.Conn) {
	c := &control{conn: conn}
	s.attach(c)
	defer s.detach(c)
	for {
		cmd := &wire.EngineCommand{}
		if err := wire.ReadFrame(conn, cmd); err != nil {
			s.log.Info("agent left", "reason", err)
			return
		}
		s.obey(c, cmd)
	}
}

// attach makes c the agent and tells it how things stand. c is locked meanwhile, so
// that no later event overtakes the greeting.
func (s *server) attach(c *control) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.mu.Lock()
	old, greeting := s.agent, s.greeting()
	s.agent = c
	s.mu.Unlock()
	if old != nil {
		s.log.Info("another agent took over")
		old.conn.Close()
	}
	s.log.Info("agent attached")
	for _, ev := range greeting {
		c.write(ev)
	}
}

func (s *server) detach(c *control) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent == c {
		s.agent = nil
	}
}

// obey carries out one command; long ones go on beside it, so that a ping is always
// answered.
func (s *server) obey(c *control, cmd *wire.EngineCommand) {
	switch cmd := cmd.GetCommand().(type) {
	case *wire.EngineCommand_Load:
		s.takeLoad(c, cmd.Load)
	case *wire.EngineCommand_Drain:
		s.work.Go(func() { s.drain(cmd.Drain) })
	case *wire.EngineCommand_Stop:
		s.end(errStop)
	case *wire.EngineCommand_Ping:
		c.tell(&wire.EngineEvent{Event: &wire.EngineEvent_Pong{Pong: &wire.Pong{Nonce: cmd.Ping.GetNonce()}}})
	}
}

// takeLoad starts a load, unless the process has an instance already.
func (s *server) takeLoad(c *control, l *wire.Load) {
	s.mu.Lock()
	st := s.state
	if st.load == nil || (st.failed != nil && st.instance == nil) {
		s.state = state{load: l}
		s.mu.Unlock()
		s.work.Go(func() { s.loadAndServe(l) })
		return
	}
	s.mu.Unlock()
	switch {
	case !proto.Equal(st.load, l):
		c.tell(failedEvent(invalid("instance", "this engine serves instance "+st.load.GetInstance()+" and takes no other")))
	case st.failed != nil:
		c.tell(failedEvent(st.failed))
	case st.instance != nil:
		c.tell(readyEvent(st.instance))
	}
}

// drain takes nothing new, lets what runs finish within the timeout, and says so.
func (s *server) drain(d *wire.Drain) {
	s.mu.Lock()
	s.state.draining = true
	i := s.state.instance
	s.mu.Unlock()
	drained := &wire.Drained{}
	if i != nil {
		ctx, cancel := context.WithTimeout(s.ctx, time.Duration(d.GetTimeoutMs())*time.Millisecond)
		defer cancel()
		finished, cancelled, err := i.Drain(ctx)
		s.deliver()
		drained.Finished, drained.Cancelled = uint32(finished), uint32(cancelled)
		s.log.Info("engine drained", "finished", finished, "cancelled", cancelled, "error", err)
	}
	s.tell(&wire.EngineEvent{Event: &wire.EngineEvent_Drained{Drained: drained}})
}

// deliverPatience is how long a drained engine waits for readers that are slow.
const deliverPatience = 5 * time.Second

// deliver waits until what the engine has finished is written: whoever is told that it
// is drained stops the process next.
func (s *server) deliver() {
	for end := time.Now().Add(deliverPatience); s.owed.Load() > 0 && time.Now().Before(end); {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(time.Millisecond):
		}
	}
}
