package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"
)

// TestFrameBytes pins the bytes of a frame: an old peer must read a new one's.
func TestFrameBytes(t *testing.T) {
	var b bytes.Buffer
	m := &StreamHeader{Capability: 1, Kind: StreamKind_STREAM_KIND_GENERATE, RequestId: "req-1", Project: "default"}
	if err := WriteFrame(&b, m); err != nil {
		t.Fatal(err)
	}
	const want = "00000014" + "0801" + "1004" + "1a057265712d31" + "220764656661756c74"
	if got := hex.EncodeToString(b.Bytes()); got != want {
		t.Errorf("frame %s, want %s", got, want)
	}
}

// TestFramesInARow writes frames of every size up to several buffers and reads them
// from a reader that gives a byte at a time.
func TestFramesInARow(t *testing.T) {
	var b []byte
	sizes := []int{0, 1, 127, 128, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300 << 10}
	for _, n := range sizes {
		var err error
		if b, err = AppendFrame(b, &EnrolRequest{Csr: bytes.Repeat([]byte{byte(n)}, n)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b))} {
		for _, n := range sizes {
			var m EnrolRequest
			if err := ReadFrame(r, &m); err != nil || len(m.GetCsr()) != n {
				t.Fatalf("%s: %d bytes, %v; want %d", name, len(m.GetCsr()), err, n)
			}
		}
		if err := ReadFrame(r, &EnrolRequest{}); err != io.EOF {
			t.Errorf("%s: after the last frame: %v, want EOF", name, err)
		}
	}
}

// TestCutFrames cuts a frame at each byte: only a cut between frames is a clean end.
func TestCutFrames(t *testing.T) {
	b, err := AppendFrame(nil, &Error{Code: ErrorCode_ERROR_CODE_BUSY, Message: "wait", RetryAfterMs: 500})
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		err := ReadFrame(bytes.NewReader(b[:n]), &Error{})
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("cut after %d of %d bytes: %v, want %v", n, len(b), err, want)
		}
	}
}

func TestFramesThatAreTooLarge(t *testing.T) {
	var b bytes.Buffer
	err := WriteFrame(&b, &EnrolRequest{Csr: make([]byte, FrameMax)})
	if !errors.Is(err, ErrFrameTooLarge) || b.Len() != 0 {
		t.Errorf("writing: %v and %d bytes, want ErrFrameTooLarge and none", err, b.Len())
	}
	head := binary.BigEndian.AppendUint32(nil, FrameMax+1)
	if err := ReadFrame(bytes.NewReader(head), &EnrolRequest{}); !errors.Is(err, ErrFrameTooLarge) {
		t.Errorf("reading: %v, want ErrFrameTooLarge", err)
	}
	// An honest length is no licence to allocate: the body never comes.
	head = binary.BigEndian.AppendUint32(nil, FrameMax)
	if err := ReadFrame(bytes.NewReader(head), &EnrolRequest{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that never comes: %v, want an unexpected EOF", err)
	}
}

// TestFramesCostWhatArrives measures what reading allocates: at most four times the
// bytes that came, whatever length was announced.
func TestFramesCostWhatArrives(t *testing.T) {
	for _, n := range []int{0, 100, 63 << 10, 65 << 10, 200 << 10, 1 << 20, 15 << 20} {
		whole, err := AppendFrame(nil, &EnrolRequest{Csr: make([]byte, n)})
		if err != nil {
			t.Fatal(err)
		}
		lying := binary.BigEndian.AppendUint32(nil, FrameMax)
		for name, b := range map[string][]byte{"whole": whole, "cut": append(lying, make([]byte, n)...)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := ReadFrame(bytes.NewReader(b), &EnrolRequest{})
			runtime.ReadMemStats(&after)
			const slack = 160 << 10 // the first chunk, and the runtime's own
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 4*uint64(len(b))+slack || (err == nil) != (name == "whole") {
				t.Errorf("%s, %d bytes: %d were allocated, %v", name, len(b), cost, err)
			}
		}
	}
}

func TestFramesThatAreNoMessage(t *testing.T) {
	frame := append(binary.BigEndian.AppendUint32(nil, 2), 0x0a, 0x7f)
	if err := ReadFrame(bytes.NewReader(frame), &EnrolRequest{}); err == nil {
		t.Error("a field longer than the frame was accepted")
	}
	if _, err := AppendFrame(nil, &EnrolRequest{Hostname: "\xff"}); err == nil {
		t.Error("invalid UTF-8 in a text field was sent")
	}
	if err := WriteFrame(brokenWriter{}, &EnrolRequest{}); err == nil {
		t.Error("a writer's error was swallowed")
	}
}

// TestUnknownFieldsAreIgnored reads a message of a newer peer.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	newer, err := AppendFrame(nil, &GenerateRequest{RequestId: "r", Prompt: []int32{1, 2, 3}, Resumed: 7})
	if err != nil {
		t.Fatal(err)
	}
	var old StreamHeader // shares no field with it but the numbers
	if err := ReadFrame(bytes.NewReader(newer), &old); err != nil {
		t.Errorf("unknown fields: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, m := range []proto.Message{&GenerateEvent{Event: &GenerateEvent_Tokens{Tokens: &Tokens{Ids: []int32{1}, Text: "a"}}}, &GenerateEvent{}} {
		b, err := AppendFrame(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m GenerateEvent
		if ReadFrame(bytes.NewReader(b), &m) != nil {
			return
		}
		again, err := AppendFrame(nil, &m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		var second GenerateEvent
		if err := ReadFrame(bytes.NewReader(again), &second); err != nil || !proto.Equal(&m, &second) {
			t.Fatalf("read %v, then %v (%v)", &m, &second, err)
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
