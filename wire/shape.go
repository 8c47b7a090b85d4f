package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ErrFrameTooMany is returned by ReadFrame, before it decodes anything, for a frame
// that would take many times its bytes.
var ErrFrameTooMany = errors.New("wire: too many values in a frame")

const (
	// FrameMessagesMax is the most messages within one frame. The fullest that is sent
	// holds 512 tokens with 20 alternatives each.
	FrameMessagesMax = 1 << 16
	// FrameTextsMax is the most strings, byte strings, and numbers of lists that are not
	// packed, as nobody sends them. The digests of all chunks of a model of 4 TiB fit.
	FrameTextsMax = 1 << 18
	// shapeFrom is the size from which frames are looked through: a smaller one takes
	// little, whatever is in it.
	shapeFrom = 64 << 10
	// depthMax is how deep messages nest; ours do four levels.
	depthMax = 32
)

// checkShape counts what of a frame takes more memory than bytes: of each message and
// string that it holds, two bytes are enough on the wire.
func checkShape(d protoreflect.MessageDescriptor, body []byte) error {
	if len(body) < shapeFrom {
		return nil
	}
	c := &shape{}
	return c.message(d, body, 0)
}

type shape struct{ messages, texts int }

func (c *shape) message(d protoreflect.MessageDescriptor, b []byte, depth int) error {
	if depth > depthMax {
		return fmt.Errorf("%w: %s nests deeper than %d levels", ErrFrameTooMany, d.FullName(), depthMax)
	}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil // no protobuf, which decoding will say
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return nil
		}
		if err := c.field(d, number, kind, b[:n], depth); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// field counts one that takes memory of its own.
func (c *shape) field(d protoreflect.MessageDescriptor, number protowire.Number, kind protowire.Type, b []byte, depth int) error {
	f := d.Fields().ByNumber(number)
	if kind != protowire.BytesType && (f == nil || !f.IsList()) {
		return nil
	}
	if f == nil || f.Message() == nil || kind != protowire.BytesType {
		if c.texts++; c.texts > FrameTextsMax {
			return fmt.Errorf("%w: over %d strings or single numbers, the last ones in a %s", ErrFrameTooMany, FrameTextsMax, d.FullName())
		}
		return nil
	}
	if c.messages++; c.messages > FrameMessagesMax {
		return fmt.Errorf("%w: over %d messages, the last ones in a %s", ErrFrameTooMany, FrameMessagesMax, d.FullName())
	}
	inner, _ := protowire.ConsumeBytes(b)
	return c.message(f.Message(), inner, depth+1)
}
