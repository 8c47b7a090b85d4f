package chat

import "github.com/nanofleet/nanofleet/engine/chat/jinja"

// What a template may cost on a conversation: something at any rate, and more for each
// value and byte of what it is given, up to jinja.DefaultLimits. A hostile template is
// thus ended early where there is little to render; an honest one needs a few percent.
const (
	leastSteps    = 100_000
	stepsPerValue = 100 // a message has five: itself, and two names with their values
	bytesPerStep  = 4
	leastOutput   = 1 << 20
	outputPerByte = 8
)

// limits are those of the input, or what its size allows.
func (in *Input) limits() jinja.Limits {
	values, bytes := 0, 0
	for _, list := range [][]jinja.Value{in.Messages, in.Tools, in.Documents} {
		for _, v := range list {
			n, b := jinja.Weigh(v)
			values, bytes = values+n, bytes+b
		}
	}
	l := in.Limits
	if l.Steps == 0 {
		l.Steps = min(leastSteps+stepsPerValue*values+bytes/bytesPerStep, jinja.DefaultLimits.Steps)
	}
	if l.OutputBytes == 0 {
		l.OutputBytes = min(leastOutput+outputPerByte*bytes, jinja.DefaultLimits.OutputBytes)
	}
	return l
}
