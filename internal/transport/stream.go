package transport

import (
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Stream is one exchange: a net.Conn whose two halves end separately. Reads and writes
// may run at once; any method may be called while they do.
type Stream struct {
	quic *quic.Stream
	conn *Conn

	writing sync.Mutex // held by Write: QUIC forbids closing a half that is being written
}

var _ net.Conn = (*Stream)(nil)

// Read reads what the other side wrote; io.EOF after its CloseWrite.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.quic.Read(p)
	return n, translate(err)
}

// Write returns once p is with the transport; flow control holds it back.
func (s *Stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.quic.Write(p)
	return n, translate(err)
}

// CloseWrite ends our half: the other side reads io.EOF after what was written. It
// waits for a Write that is under way.
func (s *Stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return translate(s.quic.Close())
}

// Close ends both halves: what was written still arrives, what comes in is refused. A
// Write that is blocked in another goroutine is cut off instead.
func (s *Stream) Close() error {
	s.quic.CancelRead(streamCancelled)
	if !s.writing.TryLock() {
		s.quic.CancelWrite(streamCancelled)
		return nil
	}
	defer s.writing.Unlock()
	_ = s.quic.Close() // it fails only on a stream that Cancel ended, which is as closed
	return nil
}

// Cancel cuts both halves: bytes under way are dropped and the other side's reads and
// writes fail with ErrCancelled. After Close or CloseWrite it does no harm to what was
// delivered.
func (s *Stream) Cancel() { s.abort(streamCancelled) }

func (s *Stream) abort(code quic.StreamErrorCode) {
	s.quic.CancelRead(code)
	s.quic.CancelWrite(code)
}

// Conn is the connection the stream belongs to.
func (s *Stream) Conn() *Conn { return s.conn }

// LocalAddr is the connection's.
func (s *Stream) LocalAddr() net.Addr { return s.conn.quic.LocalAddr() }

// RemoteAddr is the connection's.
func (s *Stream) RemoteAddr() net.Addr { return s.conn.quic.RemoteAddr() }

// SetDeadline bounds reads and writes; past it they fail with os.ErrDeadlineExceeded.
func (s *Stream) SetDeadline(t time.Time) error { return s.quic.SetDeadline(t) }

// SetReadDeadline bounds reads.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.quic.SetReadDeadline(t) }

// SetWriteDeadline bounds writes.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.quic.SetWriteDeadline(t) }
