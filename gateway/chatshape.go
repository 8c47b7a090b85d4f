package gateway

import (
	"strconv"

	"github.com/nanofleet/nanofleet/wire"
)

// chatShape is that of /v1/chat/completions.
type chatShape struct {
	style
	echo string // before each answer
}

func (*chatShape) idPrefix() string    { return "chatcmpl-" }
func (*chatShape) object() string      { return "chat.completion" }
func (*chatShape) chunkObject() string { return "chat.completion.chunk" }

func (s *chatShape) choice(i int, c *gathered) any {
	choice := chatChoice{
		Index: i, Message: chatMessage{Role: "assistant", Content: s.echo + string(c.text)},
		Reason: c.reason, StopReason: c.stop, TokenIDs: s.ids(c.ids),
	}
	choice.Logprobs = s.appendLogprobs(nil, c.logprobs, false)
	return choice
}

func (s *chatShape) whole(c *completion, list []gathered) {
	c.PromptIDs = s.ids(s.job.prompts[0])
	c.PromptLogprobs = s.promptLogprobs(&list[0])
}

func (s *chatShape) open(b []byte, i int, _ []*wire.Logprob) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"delta":{"role":"assistant","content":`...)
	b = appendString(b, []byte(s.echo))
	return append(b, `,"refusal":null},"logprobs":null`...)
}

func (s *chatShape) beside(b []byte) []byte {
	return s.appendIDs(b, "prompt_token_ids", s.job.prompts[0])
}

func (s *chatShape) delta(b []byte, i int, p *part, last bool) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"delta":{`...)
	if len(p.text) > 0 || !last {
		b = append(b, `"content":`...)
		b = appendString(b, p.text)
	}
	b = append(b, `},"logprobs":`...)
	b = s.appendLogprobs(b, p.logprobs, last)
	if last {
		return b
	}
	return s.appendIDs(b, "token_ids", p.ids)
}

func (s *chatShape) appendLogprobs(b []byte, list []*wire.Logprob, optional bool) []byte {
	if !s.logprobs || optional && len(list) == 0 {
		return append(b, "null"...)
	}
	return appendChatLogprobs(b, list, s.job.nameByID)
}

// chatChoice is a choice of a whole chat answer.
type chatChoice struct {
	Index      int         `json:"index"`
	Message    chatMessage `json:"message"`
	Logprobs   rawJSON     `json:"logprobs"`
	Reason     string      `json:"finish_reason"`
	StopReason rawJSON     `json:"stop_reason"`
	TokenIDs   []int32     `json:"token_ids,omitempty"`
}

type chatMessage struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}
