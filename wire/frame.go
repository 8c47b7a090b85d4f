package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// FrameMax is the most bytes one frame may carry: a prompt of a million tokens
// fits, a runaway length does not.
const FrameMax = 16 << 20

// ErrFrameTooLarge is returned by ReadFrame before it reads a body over FrameMax,
// and by WriteFrame instead of writing one.
var ErrFrameTooLarge = errors.New("wire: frame too large")

// WriteFrame writes m as one frame, in one Write.
func WriteFrame(w io.Writer, m proto.Message) error {
	b, err := AppendFrame(nil, m)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// AppendFrame appends m as one frame to b, so that several can share one Write.
func AppendFrame(b []byte, m proto.Message) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b, err := proto.MarshalOptions{}.MarshalAppend(b, m)
	if err != nil {
		return b[:start], fmt.Errorf("wire: marshal %T: %w", m, err)
	}
	n := len(b) - start - 4
	if n > FrameMax {
		return b[:start], fmt.Errorf("%w: %T of %d bytes, at most %d", ErrFrameTooLarge, m, n, FrameMax)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(n))
	return b, nil
}

// ReadFrame reads one frame into m. It returns io.EOF when the stream ends between
// frames and io.ErrUnexpectedEOF when it ends within one.
func ReadFrame(r io.Reader, m proto.Message) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > FrameMax {
		return fmt.Errorf("%w: %d bytes announced, at most %d", ErrFrameTooLarge, n, FrameMax)
	}
	body, err := readBody(r, int(n))
	if err != nil {
		return err
	}
	if err := checkShape(m.ProtoReflect().Descriptor(), body); err != nil {
		return err
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fmt.Errorf("wire: unmarshal %T: %w", m, err)
	}
	return nil
}

// readBody grows its buffer as bytes arrive, so that a peer cannot make us allocate
// more than four times what it sends.
func readBody(r io.Reader, n int) ([]byte, error) {
	const chunk = 64 << 10
	var body []byte
	for at := 0; at < n; at = len(body) {
		// At most twice what has come, so that all of them together are four times it.
		more := make([]byte, min(n, max(chunk, 2*at)))
		copy(more, body)
		body = more
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return body, nil
}
