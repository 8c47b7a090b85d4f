package serve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/nanofleet/nanofleet/wire"
)

// frameHeader is the length before a frame's body.
const frameHeader = 4

// Field numbers of generate.proto that are looked at; a test holds them to it.
const (
	fieldInstance = 3 // GenerateRequest.instance
	fieldFinished = 3 // GenerateEvent.finished
	fieldError    = 4 // GenerateEvent.error
)

// readFrame reads one whole frame, header included. The buffer grows as bytes come.
func readFrame(r io.Reader) ([]byte, error) {
	const step = 64 << 10
	b := make([]byte, frameHeader, 1<<10)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	size, err := frameSize(b)
	if err != nil {
		return nil, err
	}
	for len(b) < size {
		at := len(b)
		b = append(b, make([]byte, min(size-at, max(step, at)))...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, fmt.Errorf("frame of %d bytes: %w", size, err)
		}
	}
	return b, nil
}

// frameSize is the size of the frame that b begins, header included.
func frameSize(b []byte) (int, error) {
	n := binary.BigEndian.Uint32(b)
	if n > wire.FrameMax {
		return 0, fmt.Errorf("%w: %d bytes announced, at most %d", wire.ErrFrameTooLarge, n, wire.FrameMax)
	}
	return frameHeader + int(n), nil
}

var errMalformed = errors.New("serve: malformed protobuf")

// instanceOf finds the instance in a GenerateRequest without decoding its prompt. As
// protobuf wants it, the last one counts.
func instanceOf(body []byte) (instance string, err error) {
	for len(body) > 0 {
		number, kind, n := protowire.ConsumeTag(body)
		if n < 0 {
			return "", errMalformed
		}
		body = body[n:]
		if number == fieldInstance && kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(body)
			if n < 0 {
				return "", errMalformed
			}
			instance, body = string(v), body[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, body); n < 0 {
			return "", errMalformed
		}
		body = body[n:]
	}
	return instance, nil
}

// last tells whether an event is one that nothing follows.
func last(body []byte) bool {
	number, _, n := protowire.ConsumeTag(body)
	return n > 0 && (number == fieldFinished || number == fieldError)
}

// errWrite marks a failure of the coordinator's side.
var errWrite = errors.New("serve: write to the coordinator")

// errEarly is returned when the engine's side ends before its last event.
var errEarly = errors.New("serve: no last event")

// buffers hold what is under way: a few events, unless one is larger.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// forward copies whole frames from the engine until its last event. Frames that came
// together leave together; nothing is allocated per frame.
func forward(dst io.Writer, src io.Reader) error {
	p := buffers.Get().(*[]byte)
	defer buffers.Put(p)
	buf, have := *p, 0
	for {
		n, err := src.Read(buf[have:])
		have += n
		whole, size, done, bad := split(buf[:have])
		if whole > 0 {
			if _, err := dst.Write(buf[:whole]); err != nil {
				return fmt.Errorf("%w: %w", errWrite, err)
			}
			copy(buf, buf[whole:have])
			have -= whole
		}
		switch {
		case done:
			return nil
		case bad != nil:
			return bad
		case err != nil:
			return fmt.Errorf("%w: %w", errEarly, err)
		case size > len(buf):
			buf = append(make([]byte, 0, size), buf[:have]...)[:size]
		}
	}
}

// split finds how many bytes of b are whole frames, the size of the frame that
// follows them as far as it is known, and whether the last event is among them.
func split(b []byte) (whole, size int, done bool, err error) {
	for len(b)-whole >= frameHeader {
		if size, err = frameSize(b[whole:]); err != nil || len(b)-whole < size {
			return whole, size, false, err
		}
		body := b[whole+frameHeader : whole+size]
		whole += size
		if last(body) {
			return whole, 0, true, nil
		}
	}
	return whole, 0, false, nil
}
