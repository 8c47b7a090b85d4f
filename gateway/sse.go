package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
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

// streamer is the sink of streamed answers.
type streamer struct {
	*answer
	out    *sse
	prefix []byte // of every chunk, up to its choices
	begun  []bool // the choice's first chunk is written
}

// stream sends events as they come.
func (a *answer) stream() error {
	s := &streamer{answer: a, out: newSSE(a.x), begun: make([]bool, len(a.flow.counts))}
	if err := a.flow.pump(s); err != nil {
		return err
	}
	if a.job.withUsage {
		s.out.buf = s.close(append(s.start(s.out.buf), ']'), true)
	}
	s.out.done()
	return nil
}

// part writes the chunks of a sequence's news.
func (s *streamer) part(i int, p *part) error {
	if p.accepted != nil {
		s.accept(p.accepted)
	}
	s.begin(i)
	if len(p.text) > 0 || len(p.logprobs) > 0 {
		s.chunk(i, p, "")
	}
	if p.finished == nil {
		return nil
	}
	reason, err := finishReason(p.finished)
	if err != nil {
		return err
	}
	s.chunk(i, &part{}, reason)
	return nil
}

func (s *streamer) flush() error { return s.out.flush() }
func (s *streamer) idle() error  { return s.out.comment() }

// begin writes what comes before a choice's first text.
func (s *streamer) begin(i int) {
	if s.begun[i] {
		return
	}
	s.begun[i] = true
	start := len(s.out.buf)
	b := s.start(s.out.buf)
	open := s.shape.open(b, i)
	if len(open) == len(b) { // the endpoint has no such chunk
		s.out.buf = b[:start]
		return
	}
	s.out.buf = s.close(append(open, `,"finish_reason":null}]`...), false)
}

// chunk writes one event: text, or the reason of the end.
func (s *streamer) chunk(i int, p *part, reason string) {
	b := s.shape.delta(s.start(s.out.buf), i, p.text, p.logprobs, reason != "")
	b = append(b, `,"finish_reason":`...)
	if reason == "" {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), reason...), '"')
	}
	s.out.buf = s.close(append(b, "}]"...), false)
}

// start begins an event, up to its choices.
func (s *streamer) start(b []byte) []byte {
	if s.prefix == nil {
		s.prefix = append(s.prefix, `data: {"id":`...)
		s.prefix = appendString(s.prefix, []byte(s.id))
		s.prefix = append(append(append(s.prefix, `,"object":"`...), s.shape.chunkObject()...), `","created":`...)
		s.prefix = strconv.AppendInt(s.prefix, s.created, 10)
		s.prefix = append(s.prefix, `,"model":`...)
		s.prefix = appendString(s.prefix, []byte(s.job.model.Name))
		s.prefix = append(s.prefix, `,"system_fingerprint":`...)
		if s.print == "" {
			s.prefix = append(s.prefix, "null"...)
		} else {
			s.prefix = appendString(s.prefix, []byte(s.print))
		}
		s.prefix = append(s.prefix, `,"choices":[`...)
	}
	return append(b, s.prefix...)
}

// close ends an event behind its choices. The last one has the usage, the others
// have it where the client wants it in each.
func (s *streamer) close(b []byte, last bool) []byte {
	switch {
	case last || s.job.usageEach:
		u, _ := json.Marshal(s.job.usage(s.flow.counts)) // numbers always encode
		b = append(append(b, `,"usage":`...), u...)
	case s.job.withUsage:
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}
