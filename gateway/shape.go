package gateway

import (
	"strconv"
	"unicode/utf8"

	"github.com/nanofleet/nanofleet/wire"
)

// shape is what tells the answers of the two endpoints apart.
type shape interface {
	idPrefix() string
	object() string                // of a whole answer
	chunkObject() string           // of a streamed one
	choice(i int, c *gathered) any // of a whole answer
	// open appends what comes before a choice's first text: the "choice" fields of a
	// chunk of its own. Nothing, if there is none.
	open(b []byte, i int) []byte
	// delta appends the fields of a chunk's choice but its finish_reason.
	delta(b []byte, i int, text []byte, logprobs []*wire.Logprob, last bool) []byte
}

// chatShape is that of /v1/chat/completions.
type chatShape struct{ logprobs bool }

func (chatShape) idPrefix() string    { return "chatcmpl-" }
func (chatShape) object() string      { return "chat.completion" }
func (chatShape) chunkObject() string { return "chat.completion.chunk" }

func (s chatShape) choice(i int, c *gathered) any {
	choice := chatChoice{Index: i, Message: chatMessage{Role: "assistant", Content: string(c.text)}, Reason: c.reason}
	choice.Logprobs = s.appendLogprobs(nil, c.logprobs, false)
	return choice
}

func (chatShape) open(b []byte, i int) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	return append(b, `,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null`...)
}

func (s chatShape) delta(b []byte, i int, text []byte, logprobs []*wire.Logprob, last bool) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"delta":{`...)
	if len(text) > 0 || !last {
		b = append(b, `"content":`...)
		b = appendString(b, text)
	}
	b = append(b, `},"logprobs":`...)
	return s.appendLogprobs(b, logprobs, last)
}

func (s chatShape) appendLogprobs(b []byte, list []*wire.Logprob, optional bool) []byte {
	if !s.logprobs || optional && len(list) == 0 {
		return append(b, "null"...)
	}
	return appendChatLogprobs(b, list)
}

// textShape is that of /v1/completions. It remembers, for each choice, how far
// the text has come.
type textShape struct {
	logprobs bool
	top      int
	echo     []string // the text before each choice; nil: none
	offset   []int    // characters
}

func (*textShape) idPrefix() string    { return "cmpl-" }
func (*textShape) object() string      { return "text_completion" }
func (*textShape) chunkObject() string { return "text_completion" }

func (s *textShape) choice(i int, c *gathered) any {
	choice := textChoice{Index: i, Text: string(c.text), Reason: c.reason}
	if s.echo != nil {
		choice.Text = s.echo[i] + choice.Text
	}
	choice.Logprobs = s.appendLogprobs(nil, i, c.logprobs, false)
	return choice
}

func (s *textShape) open(b []byte, i int) []byte {
	if s.echo == nil {
		return b
	}
	return s.delta(b, i, []byte(s.echo[i]), nil, true)
}

func (s *textShape) delta(b []byte, i int, text []byte, logprobs []*wire.Logprob, last bool) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"text":`...)
	b = appendString(b, text)
	b = append(b, `,"logprobs":`...)
	return s.appendLogprobs(b, i, logprobs, last)
}

func (s *textShape) appendLogprobs(b []byte, i int, list []*wire.Logprob, optional bool) []byte {
	if !s.logprobs || optional && len(list) == 0 {
		return append(b, "null"...)
	}
	b = appendTextLogprobs(b, list, s.top, s.offset[i])
	for _, l := range list {
		s.offset[i] += characters(l.GetToken())
	}
	return b
}

// characters counts those that begin in b.
func characters(b []byte) (n int) {
	for _, c := range b {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}
