package link

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

const (
	telemetryEvery = time.Second
	// changesEvery spaces what is sent at once, so that a burst of changes is one message.
	changesEvery = 20 * time.Millisecond
	// A packet to a host that is just starting is lost; a short first attempt meets it
	// sooner than the handshake's own repeats, which double.
	dialMin = time.Second
	dialMax = 5 * time.Second
)

// keepSession holds a session with one coordinator until ctx ends.
func (l *Link) keepSession(ctx context.Context, addr string, host Host) {
	pause := backoff{min: 50 * time.Millisecond, max: 2 * time.Second}
	dial, said := dialMin, ""
	for {
		s := &session{link: l, host: host, applied: make(chan uint64, 1)}
		err := s.run(ctx, addr, dial)
		if ctx.Err() != nil {
			return
		}
		dial = min(2*dial, dialMax)
		if s.told {
			pause.reset()
			dial, said = dialMin, ""
		}
		if err.Error() != said { // say it once, not at every attempt
			said = err.Error()
			l.log.Warn("no session with a coordinator", "addr", addr, "reason", err)
		}
		if !pause.pause(ctx) {
			return
		}
	}
}

// session is one connection's worth of talk with a coordinator.
type session struct {
	link    *Link
	host    Host
	from    string      // the coordinator's node id
	told    bool        // it told what this node shall run
	applied chan uint64 // revisions to acknowledge; the newest counts
}

// run dials and talks until the session breaks or ctx ends.
func (s *session) run(ctx context.Context, addr string, dialTimeout time.Duration) error {
	conn, err := s.dial(ctx, addr, dialTimeout)
	if err != nil {
		return err
	}
	defer conn.Close("the agent's session is over")
	s.from = conn.Peer().NodeID
	st, err := conn.OpenStream(ctx, s.link.header(wire.StreamKind_STREAM_KIND_SESSION))
	if err != nil {
		return err
	}
	defer st.Cancel()
	if err := wire.WriteFrame(st, s.hello()); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(gctx, st.Cancel)() // wakes who reads or writes
	g.Go(func() error { return s.listen(st, addr) })
	g.Go(func() error { return s.report(gctx, st) })
	g.Go(func() error { return s.accept(gctx, conn) })
	err = g.Wait()
	if conn.Err() != nil {
		return conn.Err() // says more than a cancelled stream
	}
	return err
}

func (s *session) dial(ctx context.Context, addr string, timeout time.Duration) (*transport.Conn, error) {
	id := s.link.identity
	if err := usable(id.Leaf(), time.Now()); err != nil {
		return nil, err // renewAlways is at it
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return transport.Dial(ctx, addr, id, transport.TrustPool(id.Pool()))
}

func (s *session) hello() *wire.AgentUp {
	return &wire.AgentUp{Up: &wire.AgentUp_Hello{Hello: &wire.AgentHello{
		NodeId:     s.link.identity.Peer().NodeID,
		Hostname:   s.link.hostname,
		Version:    s.link.cfg.Version,
		Capability: wire.Capability,
		Os:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		Devices:    s.host.Devices(),
	}}}
}

// listen takes in what the coordinator says.
func (s *session) listen(st *transport.Stream, addr string) error {
	for {
		var down wire.AgentDown
		if err := wire.ReadFrame(st, &down); err != nil {
			return fmt.Errorf("session with %s: %w", addr, err)
		}
		d := down.GetDesired()
		if d == nil {
			continue // a leader's address is of no use before there are several
		}
		if !s.told {
			s.told = true
			s.link.log.Info("session with a coordinator", "addr", addr, "coordinator", s.from, "revision", d.GetRevision())
		}
		if s.link.take(s.from, d, s.host) {
			s.acknowledge(d.GetRevision())
		}
	}
}

// acknowledge has the revision sent; listen alone calls it.
func (s *session) acknowledge(revision uint64) {
	select {
	case <-s.applied: // an older one that was not sent yet
	default:
	}
	s.applied <- revision
}

// report sends telemetry every second and at once on a change.
func (s *session) report(ctx context.Context, st *transport.Stream) error {
	tick := time.NewTicker(telemetryEvery)
	defer tick.Stop()
	for {
		changed := s.host.Changed()
		up := &wire.AgentUp{Up: &wire.AgentUp_Telemetry{Telemetry: s.host.Telemetry()}}
		if err := wire.WriteFrame(st, up); err != nil {
			return err
		}
		if err := s.await(ctx, st, tick.C, changed); err != nil {
			return err
		}
	}
}

// await returns when the next telemetry is due, and sends acknowledgements meanwhile.
func (s *session) await(ctx context.Context, st *transport.Stream, tick <-chan time.Time, changed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick:
			return nil
		case revision := <-s.applied:
			up := &wire.AgentUp{Up: &wire.AgentUp_Applied{Applied: &wire.Applied{Revision: revision}}}
			if err := wire.WriteFrame(st, up); err != nil {
				return err
			}
		case <-changed:
			time.Sleep(changesEvery)
			return nil
		}
	}
}

// accept hands over the request streams that the coordinator opens. Those that run
// when the session ends are cut with its connection.
func (s *session) accept(ctx context.Context, conn *transport.Conn) error {
	for {
		st, header, err := conn.AcceptStream(ctx)
		if err != nil {
			return err
		}
		if header.GetKind() != wire.StreamKind_STREAM_KIND_GENERATE {
			st.Cancel()
			continue
		}
		go s.host.Generate(ctx, st, header)
	}
}
