package transport

import (
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"
)

// Errors of streams and connections.
var (
	// ErrCancelled is returned by Read and Write when the other side, or this one,
	// cancelled the stream.
	ErrCancelled = errors.New("transport: stream cancelled")
	// ErrDenied is returned when the other side does not take this kind of stream
	// from a peer of our role.
	ErrDenied = errors.New("transport: stream not allowed for this role")
	// ErrClosed is returned when the connection was closed by either side.
	ErrClosed = errors.New("transport: connection closed")
	// ErrLost is returned when the connection ended without a goodbye: silence for
	// IdleTimeout, or a restart of the other process.
	ErrLost = errors.New("transport: connection lost")
	// ErrRefused is returned when the other side does not want this node: its text
	// says why.
	ErrRefused = errors.New("transport: refused")
)

// Codes on the wire, in QUIC's application error fields. Numbers are never reused.
const (
	streamCancelled quic.StreamErrorCode = 1
	streamDenied    quic.StreamErrorCode = 2

	connClosed  quic.ApplicationErrorCode = 0
	connRefused quic.ApplicationErrorCode = 1
)

// translate turns QUIC's errors into the ones above; others, io.EOF and timeouts
// among them, stay as they are.
func translate(err error) error {
	var stream *quic.StreamError
	var app *quic.ApplicationError
	var reset *quic.StatelessResetError
	var idle *quic.IdleTimeoutError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stream) && stream.ErrorCode == streamDenied && stream.Remote:
		return ErrDenied
	case errors.As(err, &stream), errors.Is(err, quic.ErrStreamClosed):
		return ErrCancelled
	case errors.As(err, &app) && app.ErrorCode == connRefused:
		return fmt.Errorf("%w: %s", ErrRefused, app.ErrorMessage)
	case errors.As(err, &app):
		return fmt.Errorf("%w: %s", ErrClosed, app.ErrorMessage)
	case errors.As(err, &reset), errors.As(err, &idle):
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}
