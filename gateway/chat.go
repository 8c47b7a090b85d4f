package gateway

import (
	"time"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// chatCompletions answers POST /v1/chat/completions.
func (g *Gateway) chatCompletions(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	p, err := body.parseOptions()
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
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	prompt, err := m.render(in)
	if err != nil {
		return err
	}
	j := &job{options: p, model: m, prompts: [][]int32{prompt}}
	if err := j.check("messages"); err != nil {
		return err
	}
	return j.run(x, chatShape{logprobs: p.sampling.Logprobs})
}

// render is the prompt of a conversation.
func (m *Model) render(in *chat.Input) ([]int32, error) {
	if m.Template == nil {
		return nil, bad("model", "the model '%s' has no chat template. Use /v1/completions.", m.Name)
	}
	in.BOS, in.EOS, in.Now = m.BOS, m.EOS, time.Now()
	segments, err := m.Template.RenderSegments(*in)
	if err != nil {
		return nil, templateError(err)
	}
	return encode(m.Tokenizer, segments), nil
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
		return bad("top_logprobs", "only allowed when 'logprobs' is true.")
	}
	p.sampling.TopLogprobs = uint32(*top)
	return nil
}

// parseConversation reads messages and what else templates see.
func (o object) parseConversation() (*chat.Input, error) {
	in := &chat.Input{}
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
	in.Kwargs, err = o.parseKwargs()
	return in, err
}

// ownVariables are the template's variables that no request may set.
var ownVariables = set("messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token")

// parseKwargs reads chat_template_kwargs, and reasoning_effort as one of them.
func (o object) parseKwargs() (map[string]any, error) {
	vars := map[string]any{}
	effort, err := o.text("reasoning_effort")
	if err != nil {
		return nil, err
	}
	if effort != "" {
		vars["reasoning_effort"] = effort
	}
	more, err := o.object("chat_template_kwargs")
	if err != nil || more == nil {
		return vars, err
	}
	for i := range more.dict.Len() {
		name := more.dict.Key(i).(jinja.String).String()
		if ownVariables[name] {
			return nil, bad(more.path+name, "this variable of the chat template cannot be replaced.")
		}
		vars[name] = more.dict.At(i)
	}
	return vars, nil
}
