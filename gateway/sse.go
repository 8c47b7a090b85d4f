package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	keepAlive     = 10 * time.Second // between comments while nothing is to be said
	writePatience = time.Minute      // for one write to a client that reads slowly
)

// errGone says that the client went away or no longer reads.
var errGone = fmt.Errorf("gateway: the client went away: %w", context.Canceled)

// sse writes server-sent events: gathered in a buffer, one write and flush for
// all that came at once.
type sse struct {
	x       *exchange
	control *http.ResponseController
	buf     []byte
}

func newSSE(x *exchange) *sse { return &sse{x: x, control: http.NewResponseController(x.w)} }

// head sends the status line, once.
func (s *sse) head() {
	if s.x.sent {
		return
	}
	h := s.x.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // or a proxy would hold events back
	s.x.header(http.StatusOK)
}

// flush sends what was gathered; the first one sends the headers too.
func (s *sse) flush() error {
	if len(s.buf) == 0 && s.x.sent {
		return nil
	}
	s.head()
	_ = s.control.SetWriteDeadline(time.Now().Add(writePatience)) // not every writer has deadlines
	_, err := s.x.w.Write(s.buf)
	s.buf = s.buf[:0]
	if err == nil {
		err = s.control.Flush()
	}
	if err != nil {
		return errGone
	}
	return nil
}

// comment says that the server is still there.
func (s *sse) comment() error {
	s.buf = append(s.buf, ": waiting\n\n"...)
	return s.flush()
}

// fail ends a stream that has begun.
func (s *sse) fail(e *Error) {
	body, err := marshal(e.body())
	if err != nil {
		return
	}
	s.buf = append(append(append(s.buf, "event: error\ndata: "...), body...), '\n')
	s.done()
}

// done ends a stream, and the patience with its client: the connection may serve
// another request.
func (s *sse) done() {
	s.buf = append(s.buf, "data: [DONE]\n\n"...)
	_ = s.flush() // a client that has gone is seen by its context
	_ = s.control.SetWriteDeadline(time.Time{})
}
