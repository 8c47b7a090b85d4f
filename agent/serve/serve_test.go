package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/wire"
)

// patience bounds waits that end by events.
const patience = 30 * time.Second

// pipeStream is a stream over an in-memory connection; Cancel breaks it.
type pipeStream struct{ net.Conn }

func (p pipeStream) Cancel() { p.Close() }

// engines has one engine, whose side a test plays.
type engines struct {
	t    *testing.T
	peer chan net.Conn
}

func (e *engines) Dial(_ context.Context, instance string) (net.Conn, error) {
	if instance != "inst-a" {
		return nil, fmt.Errorf("instance %q takes no requests here now", instance)
	}
	ours, theirs := net.Pipe()
	e.t.Cleanup(func() { theirs.Close() })
	e.peer <- theirs
	return ours, nil
}

// exchange is one request between a coordinator and an engine that a test plays.
type exchange struct {
	t           *testing.T
	coordinator net.Conn
	engines     *engines
	stop        context.CancelFunc
	done        chan struct{}
}

func begin(t *testing.T, instance string) *exchange {
	t.Helper()
	x := &exchange{t: t, engines: &engines{t, make(chan net.Conn, 1)}, done: make(chan struct{})}
	near, far := net.Pipe()
	x.coordinator = near
	ctx, cancel := context.WithCancel(context.Background())
	x.stop = cancel
	go func() {
		defer close(x.done)
		New(x.engines, slog.New(slog.DiscardHandler)).Generate(ctx, pipeStream{far}, header())
	}()
	t.Cleanup(func() { cancel(); near.Close(); x.ended() })
	_ = near.SetDeadline(time.Now().Add(patience))
	if err := wire.WriteFrame(near, request(instance)); err != nil {
		t.Fatal(err)
	}
	return x
}

func header() *wire.StreamHeader {
	return &wire.StreamHeader{Capability: wire.Capability, Kind: wire.StreamKind_STREAM_KIND_GENERATE, RequestId: "r-7", Project: "default"}
}

func request(instance string) *wire.GenerateRequest {
	return &wire.GenerateRequest{RequestId: "r-7", Instance: instance, Prompt: []int32{1, 300, 70000}, MaxTokens: 3, Stop: []string{"end"}}
}

// engine accepts the connection and checks that header and request came unchanged.
func (x *exchange) engine() net.Conn {
	x.t.Helper()
	select {
	case c := <-x.engines.peer:
		_ = c.SetDeadline(time.Now().Add(patience))
		head, req := &wire.StreamHeader{}, &wire.GenerateRequest{}
		if err := errors.Join(wire.ReadFrame(c, head), wire.ReadFrame(c, req)); err != nil {
			x.t.Fatal(err)
		}
		if !proto.Equal(head, header()) || !proto.Equal(req, request("inst-a")) {
			x.t.Errorf("the engine got %v and %v", head, req)
		}
		return c
	case <-time.After(patience):
		x.t.Fatal("no engine was dialled")
		return nil
	}
}

func (x *exchange) ended() {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(patience):
		x.t.Fatal("the stream does not end")
	}
}

func (x *exchange) receive() *wire.GenerateEvent {
	x.t.Helper()
	ev := &wire.GenerateEvent{}
	if err := wire.ReadFrame(x.coordinator, ev); err != nil {
		x.t.Fatal(err)
	}
	return ev
}

func tokens(ids ...int32) *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Tokens{Tokens: &wire.Tokens{Ids: ids, Text: "text"}}}
}

func finished() *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: &wire.Finished{GeneratedTokens: 3}}}
}

func write(t *testing.T, w io.Writer, events ...proto.Message) {
	t.Helper()
	var b []byte
	for _, ev := range events {
		var err error
		if b, err = wire.AppendFrame(b, ev); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.Write(b); err != nil {
		t.Error(err)
	}
}

func TestForwards(t *testing.T) {
	x := begin(t, "inst-a")
	engine := x.engine()
	events := []proto.Message{tokens(1), tokens(2, 3), finished()}
	go write(t, engine, events...)
	for _, want := range events {
		if got := x.receive(); !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	x.ended()
	if n, err := engine.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end the engine reads %d bytes, %v; want EOF", n, err)
	}
}

func TestUnknownInstance(t *testing.T) {
	x := begin(t, "inst-z")
	if e := x.receive().GetError(); e.GetCode() != wire.ErrorCode_ERROR_CODE_UNAVAILABLE || e.GetEngineEnded() {
		t.Errorf("got %v, want UNAVAILABLE", e)
	}
	x.ended()
}

func TestCoordinatorGone(t *testing.T) {
	x := begin(t, "inst-a")
	engine := x.engine()
	go write(t, engine, tokens(1))
	x.receive()
	x.coordinator.Close()
	if _, err := engine.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the engine reads %v, want EOF", err)
	}
	x.ended()
}

// TestEngineGone cuts the engine's side at a frame's border and within a frame.
func TestEngineGone(t *testing.T) {
	whole, err := wire.AppendFrame(nil, tokens(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, extra := range []int{0, 2, len(whole) - 1} {
		x := begin(t, "inst-a")
		engine := x.engine()
		go func() {
			_, _ = engine.Write(append(bytes.Clone(whole), whole[:extra]...))
			engine.Close()
		}()
		if got := x.receive(); !proto.Equal(got, tokens(1)) {
			t.Errorf("got %v, want the tokens that came", got)
		}
		if e := x.receive().GetError(); e.GetCode() != wire.ErrorCode_ERROR_CODE_UNAVAILABLE || !e.GetEngineEnded() {
			t.Errorf("after %d bytes of a frame: %v, want UNAVAILABLE", extra, e)
		}
		x.ended()
	}
}

func TestAgentStops(t *testing.T) {
	x := begin(t, "inst-a")
	engine := x.engine()
	x.stop()
	x.ended()
	if _, err := engine.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the engine reads %v, want EOF", err)
	}
	if err := wire.ReadFrame(x.coordinator, &wire.GenerateEvent{}); err == nil {
		t.Error("a cut stream ends as if it were whole")
	}
}

func TestMalformedRequest(t *testing.T) {
	for _, body := range [][]byte{{0xff}, {0x1a, 9}, {0x22, 0xff, 0xff}, {0x1a, 0xff}} {
		if _, err := instanceOf(body); !errors.Is(err, errMalformed) {
			t.Errorf("%x: %v, want malformed", body, err)
		}
	}
	if _, err := readFrame(bytes.NewReader([]byte{0xff, 0, 0, 0})); !errors.Is(err, wire.ErrFrameTooLarge) {
		t.Errorf("a frame of 4 GB: %v", err)
	}
	if _, err := readFrame(bytes.NewReader([]byte{0, 0, 1, 0, 5})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut frame: %v", err)
	}
}

// FuzzInstance compares the scan with the decoder.
func FuzzInstance(f *testing.F) {
	for _, instance := range []string{"", "inst-a"} {
		b, err := proto.Marshal(request(instance))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, 0x1a, 1, 'x'))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := instanceOf(b)
		want := &wire.GenerateRequest{}
		if proto.Unmarshal(b, want) != nil {
			return // stricter than the scan: UTF-8, and the types of other fields
		}
		if err != nil || got != want.GetInstance() {
			t.Errorf("scan finds %q, %v; the decoder %q", got, err, want.GetInstance())
		}
	})
}

// TestForwardIsTransparent cuts random event streams into random reads: what goes on
// is every whole frame up to the last event, and nothing else.
func TestForwardIsTransparent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream, want []byte
		ends := rapid.Bool().Draw(t, "ends")
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			ev := tokens(rapid.SliceOfN(rapid.Int32(), 0, 20).Draw(t, "ids")...)
			ev.GetTokens().Text = string(bytes.Repeat([]byte("t"), rapid.SampledFrom([]int{0, 1, 40_000, 90_000}).Draw(t, "text")))
			stream, _ = wire.AppendFrame(stream, ev)
		}
		if ends {
			stream, _ = wire.AppendFrame(stream, finished())
		}
		want = bytes.Clone(stream)
		tail := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "tail")
		stream = append(stream, tail...)
		var src io.Reader = bytes.NewReader(stream)
		switch rapid.IntRange(0, 2).Draw(t, "reads") {
		case 0:
			src = iotest.HalfReader(src)
		case 1:
			src = iotest.DataErrReader(src)
		}
		var got bytes.Buffer
		err := forward(&got, src)
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%d bytes went on, want %d", got.Len(), len(want))
		}
		if ends != (err == nil) {
			t.Fatalf("with a last event %v: %v", ends, err)
		}
	})
}

func BenchmarkForward(b *testing.B) {
	var stream []byte
	for range 1000 {
		stream, _ = wire.AppendFrame(stream, tokens(7))
	}
	stream, _ = wire.AppendFrame(stream, finished())
	b.ReportAllocs()
	for b.Loop() {
		if err := forward(io.Discard, iotest.HalfReader(bytes.NewReader(stream))); err != nil {
			b.Fatal(err)
		}
	}
}
