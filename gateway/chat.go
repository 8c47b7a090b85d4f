package gateway

import (
	"time"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// chatCompletions answers POST /v1/chat/completions.
func (g *Gateway) chatCompletions(x *exchange) error {
	body, p, err := x.options()
	if err != nil {
		return err
	}
	if err := body.parseChatLogprobs(p); err != nil {
		return err
	}
	in, err := body.parseConversation()
	if err != nil {
		return err
	}
	if err := p.checkChat(); err != nil {
		return err
	}
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	prompt, err := m.render(in)
	if err != nil {
		return err
	}
	j := &job{options: p, model: m, prompts: [][]int32{prompt}}
	j.cutPrompts()
	if err := j.check("messages"); err != nil {
		return err
	}
	return j.run(x, &chatShape{style: j.style(p.sampling.Logprobs), echo: in.echo})
}

// checkChat refuses what only completions have.
func (p *options) checkChat() error {
	if p.candidates > p.choices {
		return unsupported("best_of", "%d of chat's choices cannot be ranked. Expected %d, as 'n' is; /v1/completions has it.", p.candidates, p.choices)
	}
	if err := p.checkScoring(false); err != nil {
		return err
	}
	return p.checkRanking()
}

// conversation is a parsed one.
type conversation struct {
	chat.Input
	template   string // the name of the model's template to use; "": the model's choice
	addSpecial bool   // the tokenizer's BOS before what the template gives
	echo       string // the last message's text, to be shown before the answer
}

// render is the prompt of a conversation.
func (m *Model) render(in *conversation) ([]int32, error) {
	template, err := m.template(in.template, len(in.Tools) > 0)
	if err != nil {
		return nil, err
	}
	in.BOS, in.EOS, in.Now = m.BOS, m.EOS, time.Now()
	in.Kwargs = known(template, in.Kwargs)
	segments, err := template.RenderSegments(in.Input)
	if err != nil {
		return nil, templateError(err)
	}
	ids := encode(m.Tokenizer, segments)
	if in.addSpecial {
		ids = append(m.Tokenizer.Encode("", tokenizer.EncodeOptions{AddBOS: true}), ids...)
	}
	return ids, nil
}

// parseChatLogprobs reads logprobs, a switch here, and top_logprobs.
func (o object) parseChatLogprobs(p *options) error {
	on, err := o.flag("logprobs", false)
	if err != nil {
		return err
	}
	top, err := o.integer("top_logprobs", 0, maxTopLogprobs)
	if err != nil {
		return err
	}
	p.sampling.Logprobs = on
	if top == nil {
		return nil
	}
	if !on && *top > 0 {
		return bad("top_logprobs", "%d of them are only allowed when 'logprobs' is true.", *top)
	}
	p.sampling.TopLogprobs = uint32(*top)
	return nil
}

// parseConversation reads messages and what else templates see.
func (o object) parseConversation() (*conversation, error) {
	in := &conversation{}
	var err error
	if in.Messages, err = o.parseMessages(); err != nil {
		return nil, err
	}
	if in.ContinueFinalMessage, err = o.flag("continue_final_message", false); err != nil {
		return nil, err
	}
	if in.AddGenerationPrompt, err = o.flag("add_generation_prompt", !in.ContinueFinalMessage); err != nil {
		return nil, err
	}
	if in.ContinueFinalMessage && in.AddGenerationPrompt {
		return nil, bad("continue_final_message", "true is not compatible with 'add_generation_prompt' true: the last message is either left open or answered.")
	}
	if in.addSpecial, err = o.flag("add_special_tokens", false); err != nil {
		return nil, err
	}
	echo, err := o.flag("echo", false)
	if err != nil {
		return nil, err
	}
	if echo {
		in.echo = finalAnswer(in.Messages)
	}
	if in.template, err = o.text("chat_template"); err != nil {
		return nil, err
	}
	in.Kwargs, err = o.parseKwargs()
	return in, err
}

// finalAnswer is the text of the last message if it is the assistant's.
func finalAnswer(messages []jinja.Value) string {
	last := messages[len(messages)-1].(*jinja.Dict)
	if role, _ := last.Get("role"); !isText("assistant")(role) {
		return ""
	}
	text, _ := last.Get("content")
	s, _ := text.(jinja.String)
	return s.String()
}
