package gateway

// tokenizeFields are the known ones of /tokenize and /detokenize.
var tokenizeFields = merge(sharedFields, set("prompt", "messages", "tokens", "add_special_tokens", "return_token_strs",
	"add_generation_prompt", "continue_final_message", "chat_template_kwargs", "reasoning_effort", "chat_template", "tools"))

// tokenized is vLLM's answer.
type tokenized struct {
	Count   int      `json:"count"`
	Context int      `json:"max_model_len"`
	Tokens  []int32  `json:"tokens"`
	Texts   []string `json:"token_strs"`
}

// tokenize answers POST /tokenize: the ids that a prompt or a conversation becomes.
func (g *Gateway) tokenize(x *exchange) error {
	body, p, err := x.parse(parseTokenOptions)
	if err != nil {
		return err
	}
	texts, err := body.flag("return_token_strs", false)
	if err != nil {
		return err
	}
	encode, err := body.parseTokenizable()
	if err != nil {
		return err
	}
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	ids, err := encode(m)
	if err != nil {
		return err
	}
	out := tokenized{Count: len(ids), Context: m.Context, Tokens: ids}
	if texts {
		out.Texts = make([]string, len(ids))
		for i, id := range ids {
			out.Texts[i] = string(m.Tokenizer.TokenBytes(id))
		}
	}
	return x.answer(out)
}

func parseTokenOptions(o object) (*options, error) {
	p, err := o.parseFewOptions(tokenizeFields)
	if err != nil {
		return nil, err
	}
	return p, o.checkServed(p)
}

// parseTokenizable reads either form of what is to be tokenised, as the endpoints that
// generate would.
func (o object) parseTokenizable() (func(*Model) ([]int32, error), error) {
	if o.get("messages") != nil {
		if o.get("prompt") != nil {
			return nil, bad("prompt", "given beside 'messages'. Expected one of them.")
		}
		in, err := o.parseConversation()
		return func(m *Model) ([]int32, error) { return m.render(in) }, err
	}
	if v := o.get("prompt"); v != nil && jsonType(v) != "a string" {
		return nil, o.wrongType("prompt", "a string")
	}
	p, err := o.parsePrompts("prompt", 1)
	return func(m *Model) ([]int32, error) { return p.encode(m)[0], nil }, err
}

// detokenize answers POST /detokenize.
func (g *Gateway) detokenize(x *exchange) error {
	body, p, err := x.parse(parseTokenOptions)
	if err != nil {
		return err
	}
	items, err := body.list("tokens")
	if err != nil {
		return err
	}
	if body.get("tokens") == nil {
		return missing("tokens", "you must provide an array of token ids.")
	}
	ids, err := tokenIDs("tokens", items)
	if err != nil {
		return err
	}
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	if err := m.checkIDs("tokens", ids); err != nil {
		return err
	}
	return x.answer(struct {
		Prompt string `json:"prompt"`
	}{m.text(ids)})
}
