package agents

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// Replica is the replicated state as sessions need it.
type Replica interface {
	Apply(ctx context.Context, cmd state.Command) error
	Snapshot() *state.Snapshot
	// Watch gives a channel that is closed at the next change.
	Watch() <-chan struct{}
}

// Server speaks with agents.
type Server struct {
	replica Replica
	ca      *pki.CA
	table   *Table
	addrs   func() []string // fleet addresses of the coordinators, for agents to keep
	now     func() time.Time
	newID   func() string
	log     *slog.Logger
}

// Config of a Server.
type Config struct {
	Replica      Replica
	CA           *pki.CA
	Coordinators func() []string
	Now          func() time.Time
	NewID        func() string
	Log          *slog.Logger
}

// NewServer makes a server with an empty table.
func NewServer(cfg Config) *Server {
	return &Server{
		replica: cfg.Replica, ca: cfg.CA, addrs: cfg.Coordinators,
		now: cfg.Now, newID: cfg.NewID, log: cfg.Log,
		table: newTable(cfg.Now),
	}
}

// Table is what the agents reported.
func (s *Server) Table() *Table { return s.table }

// Serve accepts connections until ctx ends or the listener fails. It is for ports that
// speak with agents alone; others hand connections to ServeConn.
func (s *Server) Serve(ctx context.Context, l *transport.Listener) error {
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go s.ServeConn(ctx, conn)
	}
}

// ServeConn serves the streams a node opens, until the connection or ctx ends.
func (s *Server) ServeConn(ctx context.Context, conn *transport.Conn) {
	for {
		st, head, err := conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		go s.stream(ctx, conn, st, head)
	}
}

func (s *Server) stream(ctx context.Context, conn *transport.Conn, st *transport.Stream, head *wire.StreamHeader) {
	defer st.Close()
	var err error
	switch head.GetKind() {
	case wire.StreamKind_STREAM_KIND_ENROL:
		err = s.enrol(ctx, st)
	case wire.StreamKind_STREAM_KIND_RENEW:
		err = s.renew(ctx, conn, st)
	case wire.StreamKind_STREAM_KIND_SESSION:
		err = s.session(ctx, conn, st)
	default:
		st.Cancel()
		err = errors.New("agents: a node may not open this kind of stream: " + head.GetKind().String())
	}
	if err != nil && ctx.Err() == nil {
		s.log.Info("stream ended", "peer", conn.Peer().String(), "kind", head.GetKind().String(), "reason", err)
	}
}
