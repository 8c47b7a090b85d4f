package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/internal/obs"
	"github.com/nanofleet/nanofleet/wire"
)

// Config of an engine process.
type Config struct {
	Socket        string        // path; its directory is made with mode 0700 if missing
	OrphanTimeout time.Duration // end when nobody was connected for so long; 0 = never
	Log           *slog.Logger
	// Backends are what this build can compute with, by the name in EngineOptions.
	Backends map[string]func(abi.Limits) (engine.Backend, error)
}

// openingTimeout bounds the wait for a connection's header and request.
const openingTimeout = 10 * time.Second

// Ways to end that are no failure.
var (
	errStop   = errors.New("told to stop")
	errOrphan = errors.New("no agent has been connected for the orphan timeout")
)

// server is one engine process.
type server struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends with the process; its cause says why
	end    context.CancelCauseFunc
	orphan *orphan
	work   sync.WaitGroup // connections, load, engine, stats
	owed   atomic.Int32   // requests whose last event is not written yet

	mu    sync.Mutex
	state state
	agent *control // the current control connection, or nil
}

// Run serves until Stop, the context's end, the orphan timeout (all nil) or the loss
// of the backend (an error).
func Run(ctx context.Context, cfg Config) error {
	l, err := listen(cfg.Socket)
	if err != nil {
		return err
	}
	defer l.Close()
	s := &server{cfg: cfg, log: cfg.Log}
	s.ctx, s.end = context.WithCancelCause(ctx)
	defer s.end(nil)
	s.orphan = watchOrphan(cfg.OrphanTimeout, func() { s.end(errOrphan) })
	defer s.orphan.stop()
	defer context.AfterFunc(s.ctx, func() { l.Close() })()
	s.log.Info("engine listens", "socket", cfg.Socket)
	err = s.accept(l)
	s.end(err)
	s.work.Wait()
	return s.outcome(ctx)
}

// outcome turns why the process ends into Run's result.
func (s *server) outcome(ctx context.Context) error {
	cause := context.Cause(s.ctx)
	s.log.Info("engine ends", "reason", cause)
	if errors.Is(cause, errStop) || errors.Is(cause, errOrphan) || ctx.Err() != nil {
		return nil
	}
	return cause
}

// accept serves connections until the listener closes.
func (s *server) accept(l *net.UnixListener) error {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return fmt.Errorf("server: accept: %w", err)
		}
		s.work.Go(func() { s.serve(conn) })
	}
}

// serve handles one connection to its end.
func (s *server) serve(conn *net.UnixConn) {
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.Close() })()
	if err := sameUser(conn); err != nil {
		s.log.Warn("connection refused", "reason", err)
		return
	}
	s.orphan.enter()
	defer s.orphan.leave()
	header := &wire.StreamHeader{}
	_ = conn.SetReadDeadline(time.Now().Add(openingTimeout))
	if err := wire.ReadFrame(conn, header); err != nil {
		s.log.Debug("connection without a header", "reason", err)
		return
	}
	switch header.GetKind() {
	case wire.StreamKind_STREAM_KIND_CONTROL:
		_ = conn.SetReadDeadline(time.Time{})
		s.control(conn)
	case wire.StreamKind_STREAM_KIND_GENERATE:
		s.generate(conn, header)
	default:
		s.log.Warn("connection refused", "reason", "an engine serves control and generate only", "kind", header.GetKind())
	}
}

// request gives a context the request's id, when it is one that may be logged.
func (s *server) request(id string) context.Context {
	if !obs.ValidRequestID(id) {
		return s.ctx
	}
	return obs.WithRequestID(s.ctx, id)
}
