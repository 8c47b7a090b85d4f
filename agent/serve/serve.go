package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/nanofleet/nanofleet/internal/obs"
	"github.com/nanofleet/nanofleet/wire"
)

// Engines are the instances of this host.
type Engines interface {
	// Dial connects to the socket of an instance that is ready. Its error is shown to
	// whoever asked.
	Dial(ctx context.Context, instance string) (net.Conn, error)
}

// Stream is the coordinator's side; *transport.Stream is one.
type Stream interface {
	io.ReadWriteCloser
	// Cancel cuts both halves, so that the other side sees it at once.
	Cancel()
	SetReadDeadline(time.Time) error
}

// requestTimeout bounds the wait for a stream's request.
const requestTimeout = 10 * time.Second

// Server forwards request streams.
type Server struct {
	engines Engines
	log     *slog.Logger
}

// New makes a server over the engines of this host.
func New(engines Engines, log *slog.Logger) *Server { return &Server{engines, log} }

// Generate serves one request stream to its end.
func (s *Server) Generate(ctx context.Context, st Stream, header *wire.StreamHeader) {
	ctx = obs.WithRequestID(ctx, header.GetRequestId())
	if err := s.generate(ctx, st, header); err != nil {
		st.Cancel()
		s.log.InfoContext(ctx, "request stream ended early", "reason", err)
		return
	}
	_ = st.Close() // whoever is gone by now needs no goodbye
}

func (s *Server) generate(ctx context.Context, st Stream, header *wire.StreamHeader) error {
	_ = st.SetReadDeadline(time.Now().Add(requestTimeout))
	request, err := readFrame(st)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	_ = st.SetReadDeadline(time.Time{})
	instance, err := instanceOf(request[frameHeader:])
	if err != nil {
		return refuse(st, wire.ErrorCode_ERROR_CODE_INVALID, "request: not a GenerateRequest")
	}
	engine, err := s.engines.Dial(ctx, instance)
	if err != nil {
		s.log.InfoContext(ctx, "request refused", "instance", instance, "reason", err)
		return refuse(st, wire.ErrorCode_ERROR_CODE_UNAVAILABLE, err.Error())
	}
	defer engine.Close()
	return s.join(ctx, st, engine, header, request, instance)
}

// join sends the request and forwards events until one side ends.
func (s *Server) join(ctx context.Context, st Stream, engine net.Conn, header *wire.StreamHeader, request []byte, instance string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { engine.Close() })()
	go func() { cancel(watch(st)) }()
	opening, err := wire.AppendFrame(nil, header)
	if err != nil {
		return err
	}
	if _, err = engine.Write(append(opening, request...)); err == nil {
		err = forward(st, engine)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errWrite):
		return err
	}
	s.log.WarnContext(ctx, "engine ended within a request", "instance", instance, "reason", err)
	return sendError(st, &wire.Error{
		Code: wire.ErrorCode_ERROR_CODE_UNAVAILABLE, EngineEnded: true,
		Message: fmt.Sprintf("the engine of %s ended within the request", instance),
	})
}

// errGone says that the coordinator ended the request.
var errGone = errors.New("cancelled by the coordinator")

// watch returns once the coordinator has cancelled or is gone. It has nothing more to
// say after its request; ending its half only says so.
func watch(st Stream) error {
	_, err := io.Copy(io.Discard, st)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errGone, err)
}

// refuse ends a stream with an error event.
func refuse(st Stream, code wire.ErrorCode, message string) error {
	return sendError(st, &wire.Error{Code: code, Message: message})
}

func sendError(st Stream, e *wire.Error) error {
	return wire.WriteFrame(st, &wire.GenerateEvent{Event: &wire.GenerateEvent_Error{Error: e}})
}
