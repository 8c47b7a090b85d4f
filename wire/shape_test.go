package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"google.golang.org/protobuf/proto"
)

// framed is a body with its length.
func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// inside is a field of bytes or a message, by its number, around a body.
func inside(number byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(body))), body...)
}

// TestFramesOfManyValues: what a frame of any content takes once decoded is bounded,
// and as much as is sent is read.
func TestFramesOfManyValues(t *testing.T) {
	logprob := []byte{2<<3 | 2, 1, 'x', 3<<3 | 5, 0, 0, 0x80, 0xbf} // of the token "x"
	tokens := func(n int) []byte { return bytes.Repeat(inside(1, logprob), n) }
	digest := inside(5, bytes.Repeat([]byte{7}, 32))
	deep := bytes.Clone(logprob)
	for range 40 {
		deep = inside(4, deep)
	}
	for name, c := range map[string]struct {
		m    proto.Message
		body []byte
		err  error
	}{
		"empty messages":      {&PromptLogprobs{}, bytes.Repeat([]byte{1<<3 | 2, 0}, FrameMax/2), ErrFrameTooMany},
		"messages":            {&PromptLogprobs{}, tokens(FrameMessagesMax + 1), ErrFrameTooMany},
		"as many as may be":   {&PromptLogprobs{}, tokens(FrameMessagesMax), nil},
		"within a message":    {&GenerateRequest{}, inside(7, bytes.Repeat([]byte{11<<3 | 2, 0}, FrameMax/2-10)), ErrFrameTooMany},
		"a message, again":    {&GenerateRequest{}, bytes.Repeat([]byte{7<<3 | 2, 0}, FrameMax/2), ErrFrameTooMany},
		"empty strings":       {&GenerateRequest{}, bytes.Repeat([]byte{10<<3 | 2, 0}, FrameMax/2), ErrFrameTooMany},
		"strings in messages": {&Manifest{}, inside(1, bytes.Repeat([]byte{5<<3 | 2, 0}, FrameMax/2-10)), ErrFrameTooMany},
		"digests":             {&File{}, bytes.Repeat(digest, FrameTextsMax), nil},
		"a large model":       {&File{}, bytes.Repeat(digest, FrameMax/len(digest)), ErrFrameTooMany},
		"nested":              {&Logprob{}, append(deep, make([]byte, shapeFrom)...), ErrFrameTooMany},
		"token ids":           {&GenerateRequest{}, inside(4, bytes.Repeat([]byte{7}, FrameMax-10)), nil},
		"ids one by one":      {&GenerateRequest{}, bytes.Repeat([]byte{4 << 3, 7}, FrameMax/2), ErrFrameTooMany},
		"unknown fields":      {&GenerateRequest{}, bytes.Repeat([]byte{15 << 3, 7}, FrameMax/2), nil},
		"no protobuf":         {&GenerateRequest{}, bytes.Repeat([]byte{0xff}, FrameMax), nil},
	} {
		frame := framed(c.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := ReadFrame(bytes.NewReader(frame), c.m)
		runtime.ReadMemStats(&after)
		spent := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %.1f times %d bytes, %v", name, float64(spent)/float64(len(frame)), len(frame), err)
		if spent > 8*FrameMax { // four times to read it, and as much to decode it
			t.Errorf("%s: %d bytes allocated for a frame of %d", name, spent, len(frame))
		}
		if c.err != nil && !errors.Is(err, c.err) || c.err == nil && errors.Is(err, ErrFrameTooMany) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}
