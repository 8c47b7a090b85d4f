package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/wire"
)

// writeTimeout is how long a peer may leave an event unread before it counts as gone.
const writeTimeout = 30 * time.Second

// errPeerGone is the cause of a request whose connection ended.
var errPeerGone = errors.New("the peer is gone")

// generation is one request on its connection.
type generation struct {
	*instance
	conn     net.Conn
	seed     uint64
	deadline time.Time
}

// generate serves one request.
func (s *server) generate(conn net.Conn, header *wire.StreamHeader) {
	in := &wire.GenerateRequest{}
	err := wire.ReadFrame(conn, in)
	_ = conn.SetReadDeadline(time.Time{})
	id := header.GetRequestId()
	if id == "" {
		id = in.GetRequestId()
	}
	ctx, cancel := context.WithCancelCause(s.request(id))
	defer cancel(nil)
	began := time.Now()
	if err == nil {
		// Whoever ends its half says that it wants no more.
		s.work.Go(func() { awaitEnd(conn); cancel(errPeerGone) })
		s.owed.Add(1)
		err = s.answer(ctx, conn, in, id)
		s.owed.Add(-1)
	}
	conn.Close()
	s.log.InfoContext(ctx, "request ended", "error", err, "duration", time.Since(began))
}

// awaitEnd returns once the peer has closed or shut its half.
func awaitEnd(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// answer submits the request and streams what comes of it.
func (s *server) answer(ctx context.Context, conn net.Conn, in *wire.GenerateRequest, id string) error {
	g := &generation{conn: conn}
	i, refused := s.serving()
	if refused == nil {
		refused = i.refuses(in)
	}
	if refused != nil {
		return g.refuse(refused, errors.New(refused.GetMessage()))
	}
	g.instance, g.seed = i, seed(in)
	r := request(in, id, g.seed)
	g.deadline = r.Deadline
	q, err := i.Submit(r)
	if err != nil {
		return g.refuse(wireError(err), err)
	}
	// At once, not when the next event cannot be written: the slot frees in one step.
	defer context.AfterFunc(ctx, q.Cancel)()
	return g.stream(ctx, q)
}

// refuses tells whether the request is for another instance, or asks for what this
// one cannot keep.
func (i *instance) refuses(in *wire.GenerateRequest) *wire.Error {
	switch {
	case in.GetInstance() != "" && in.GetInstance() != i.load.GetInstance():
		return &wire.Error{Code: wire.ErrorCode_ERROR_CODE_NOT_FOUND, Param: "instance", Message: "this engine serves another instance"}
	case in.GetAdapter() != "":
		return invalid("adapter", "adapter: must be empty: this instance has none")
	}
	return nil
}

// seed is the request's own, or one drawn for it.
func seed(in *wire.GenerateRequest) uint64 {
	if in.Seed != nil {
		return in.GetSeed()
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// stream sends events until the last one.
func (g *generation) stream(ctx context.Context, q *engine.Sequence) error {
	for {
		ev, err := q.Next(ctx)
		switch {
		case ctx.Err() != nil:
			q.Cancel()
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return g.refuse(wireError(err), err)
		}
		for _, piece := range pieces(ev) {
			if err := g.send(g.event(piece)); err != nil {
				q.Cancel()
				return err
			}
		}
	}
}

// piece is the most tokens of a prompt that one frame tells of: with 20 alternatives
// of long tokens it stays far below wire.FrameMax, however slow its reader was.
const piece = 512

// pieces cuts an event that has no bound of its own.
func pieces(ev engine.Event) (all []engine.Event) {
	p, ok := ev.(engine.PromptLogprobs)
	if !ok {
		return []engine.Event{ev}
	}
	for tokens := range slices.Chunk(p.Tokens, piece) {
		all = append(all, engine.PromptLogprobs{Tokens: tokens})
	}
	return all
}

// event as the wire has it.
func (g *generation) event(ev engine.Event) *wire.GenerateEvent {
	switch ev := ev.(type) {
	case engine.Accepted:
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Accepted{Accepted: &wire.Accepted{
			Seed: g.seed, PromptTokens: uint32(ev.PromptTokens), CachedTokens: uint32(ev.CachedTokens),
			NumericsId: g.ready.GetNumericsId(), Instance: g.load.GetInstance(),
		}}}
	case engine.PromptLogprobs:
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_PromptLogprobs{PromptLogprobs: &wire.PromptLogprobs{Tokens: g.logprobs(ev.Tokens)}}}
	case engine.Pooled:
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Pooled{Pooled: &wire.Pooled{Values: ev.Values}}}
	case engine.Tokens:
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Tokens{Tokens: &wire.Tokens{
			Ids: ev.IDs, Text: ev.Text, Logprobs: g.logprobs(ev.Logprobs),
		}}}
	case engine.Finished:
		if g.late(ev) {
			return errorEvent(deadlinePassed())
		}
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: finished(ev)}}
	}
	return errorEvent(wireError(errors.New("unknown event")))
}

// late tells whether the deadline ended the sequence: nobody else cancels one whose
// peer is still there, but a drain, and that before the deadline.
func (g *generation) late(ev engine.Finished) bool {
	return ev.Reason == engine.FinishCancelled && !g.deadline.IsZero() && !time.Now().Before(g.deadline)
}

// refuse sends an error as the last event and returns its cause.
func (g *generation) refuse(e *wire.Error, cause error) error {
	return errors.Join(cause, g.send(errorEvent(e)))
}

// send writes one event.
func (g *generation) send(ev *wire.GenerateEvent) error {
	_ = g.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return wire.WriteFrame(g.conn, ev)
}

func errorEvent(e *wire.Error) *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Error{Error: e}}
}
