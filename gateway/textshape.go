package gateway

import (
	"strconv"
	"unicode/utf8"

	"github.com/nanofleet/nanofleet/wire"
)

// textShape is that of /v1/completions. It remembers, for each choice, how far
// the text has come.
type textShape struct {
	style
	top    int
	echo   []string // the text of each prompt; nil: none is shown
	offset []int    // characters, by choice
}

func (*textShape) idPrefix() string    { return "cmpl-" }
func (*textShape) object() string      { return "text_completion" }
func (*textShape) chunkObject() string { return "text_completion" }

// promptOf says which prompt a choice belongs to: choices are as many as candidates in
// a stream, and of a whole answer only the best are left.
func (s *textShape) promptOf(i int) int { return i / s.job.choices }

func (s *textShape) choice(i int, c *gathered) any {
	prompt := s.promptOf(i)
	choice := textChoice{
		Index: i, Text: string(c.text), Reason: c.reason, StopReason: c.stop, TokenIDs: s.ids(c.ids),
		PromptIDs: s.ids(s.job.prompts[prompt]), PromptLogprobs: s.promptLogprobs(c),
	}
	if s.echo != nil {
		choice.Text = s.echo[prompt] + choice.Text
	}
	choice.Logprobs = append(choice.Logprobs, "null"...)
	if s.logprobs {
		t := s.tokens(i)
		if s.echo != nil {
			t.prompt(s.echo[prompt], s.promptTokens(prompt, c.prompt))
		}
		t.add(c.logprobs)
		choice.Logprobs = t.append(nil)
	}
	return choice
}

func (*textShape) whole(*completion, []gathered) {}

func (s *textShape) open(b []byte, i int, prompt []*wire.Logprob) []byte {
	if s.echo == nil && !s.job.showIDs {
		return b
	}
	var text string
	if s.echo != nil {
		text = s.echo[s.promptOf(i)]
	}
	b = s.begin(b, i, []byte(text))
	if s.logprobs && s.echo != nil {
		t := s.tokens(i)
		t.prompt(text, s.promptTokens(s.promptOf(i), prompt))
		b = t.append(b)
	} else {
		b = append(b, "null"...)
	}
	return s.appendIDs(b, "prompt_token_ids", s.job.prompts[s.promptOf(i)])
}

func (s *textShape) delta(b []byte, i int, p *part, last bool) []byte {
	b = s.begin(b, i, p.text)
	if !s.logprobs || last && len(p.logprobs) == 0 {
		b = append(b, "null"...)
	} else {
		t := s.tokens(i)
		t.add(p.logprobs)
		b = t.append(b)
	}
	if last {
		return b
	}
	return s.appendIDs(b, "token_ids", p.ids)
}

// begin appends a choice up to its logprobs.
func (s *textShape) begin(b []byte, i int, text []byte) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"text":`...)
	b = appendString(b, text)
	return append(b, `,"logprobs":`...)
}

// tokens are those of a choice, to be shown from where its text has come to.
func (s *textShape) tokens(i int) *textTokens {
	return &textTokens{top: s.top, byID: s.job.nameByID, at: &s.offset[i]}
}

// promptTokens are all tokens of a prompt, of which engines tell all but the first.
func (s *textShape) promptTokens(prompt int, rest []*wire.Logprob) []*wire.Logprob {
	id := s.job.prompts[prompt][0]
	first := &wire.Logprob{Id: id, Token: s.job.model.Tokenizer.TokenBytes(id)}
	return append([]*wire.Logprob{first}, rest...)
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

// textChoice is a choice of a whole completion.
type textChoice struct {
	Text           string  `json:"text"`
	Index          int     `json:"index"`
	Logprobs       rawJSON `json:"logprobs"`
	Reason         string  `json:"finish_reason"`
	StopReason     rawJSON `json:"stop_reason"`
	PromptLogprobs rawJSON `json:"prompt_logprobs,omitempty"`
	TokenIDs       []int32 `json:"token_ids,omitempty"`
	PromptIDs      []int32 `json:"prompt_token_ids,omitempty"`
}
