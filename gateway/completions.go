package gateway

import (
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// defaultCompletionTokens is the length of a completion by default.
const defaultCompletionTokens = 16

// completions answers POST /v1/completions.
func (g *Gateway) completions(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	p, err := body.parseOptions()
	if err != nil {
		return err
	}
	shape, err := body.parseTextShape(p)
	if err != nil {
		return err
	}
	echo, err := body.flag("echo", false)
	if err != nil {
		return err
	}
	if echo && shape.logprobs {
		return unsupported("echo", "logprobs of the prompt are not supported; leave out 'echo' or 'logprobs'.")
	}
	prompts, err := body.parsePrompts()
	if err != nil {
		return err
	}
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	if n := prompts.len() * p.choices; n > maxSequences {
		return bad("n", "%d choices of %d prompts are %d sequences. Expected at most %d.", p.choices, prompts.len(), n, maxSequences)
	}
	j := prompts.job(p, m)
	if p.maxTokens == 0 {
		p.maxTokens = j.defaultLength()
	}
	if err := j.check("prompt"); err != nil {
		return err
	}
	shape.offset = make([]int, len(j.prompts)*j.choices)
	if echo {
		shape.echo = prompts.echoes(j)
	}
	return j.run(x, shape)
}

// defaultLength is how long a completion gets when the request does not say: as
// OpenAI documents it, but no longer than every prompt leaves room for.
func (j *job) defaultLength() int {
	n := max(defaultCompletionTokens, j.minTokens)
	for _, prompt := range j.prompts {
		n = min(n, j.model.Context-len(prompt))
	}
	return max(n, 1)
}

// parseTextShape reads logprobs, a number here.
func (o object) parseTextShape(p *options) (*textShape, error) {
	n, err := o.integer("logprobs", 0, maxTopLogprobs)
	if err != nil || n == nil {
		return &textShape{}, err
	}
	p.sampling.Logprobs, p.sampling.TopLogprobs = true, uint32(*n)
	return &textShape{logprobs: true, top: int(*n)}, nil
}

// prompts are those of a request, as texts or as token ids.
type prompts struct {
	texts []string
	ids   [][]int32
}

func (p *prompts) len() int { return max(len(p.texts), len(p.ids)) }

const promptType = "a string, an array of strings, an array of token ids, or an array of arrays of token ids"

// parsePrompts reads prompt in any of its four forms.
func (o object) parsePrompts() (*prompts, error) {
	switch v := o.get("prompt").(type) {
	case nil:
		e := bad("prompt", "you must provide a prompt.")
		e.Code = "missing_required_parameter"
		return nil, e
	case jinja.String:
		return &prompts{texts: []string{v.String()}}, nil
	case *jinja.List:
		return o.promptList(v.Items())
	}
	return nil, o.wrongType("prompt", promptType)
}

func (o object) promptList(items []jinja.Value) (*prompts, error) {
	if len(items) == 0 {
		return nil, bad("prompt", "the array is empty. Expected %s.", promptType)
	}
	if _, ok := integerOf(items[0]); ok {
		ids, err := tokenIDs("prompt", items)
		return &prompts{ids: [][]int32{ids}}, err
	}
	if len(items) > maxPrompts {
		return nil, bad("prompt", "%d prompts. Expected at most %d.", len(items), maxPrompts)
	}
	p := &prompts{}
	for _, item := range items {
		if err := p.add(o, item); err != nil {
			return nil, err
		}
	}
	if len(p.texts) > 0 && len(p.ids) > 0 {
		return nil, o.wrongType("prompt", promptType)
	}
	return p, nil
}

func (p *prompts) add(o object, item jinja.Value) error {
	switch v := item.(type) {
	case jinja.String:
		p.texts = append(p.texts, v.String())
		return nil
	case *jinja.List:
		ids, err := tokenIDs("prompt", v.Items())
		p.ids = append(p.ids, ids)
		return err
	}
	return o.wrongType("prompt", promptType)
}

// job is what the prompts ask of a model.
func (p *prompts) job(o *options, m *Model) *job {
	list := p.ids
	for _, text := range p.texts {
		list = append(list, m.Tokenizer.Encode(text, tokenizer.EncodeOptions{AddBOS: true}))
	}
	return &job{options: o, model: m, prompts: list}
}

// echoes are the texts that come before each choice.
func (p *prompts) echoes(j *job) []string {
	var list []string
	for i := range j.prompts {
		text := ""
		if len(p.texts) > 0 {
			text = p.texts[i]
		} else {
			text = j.model.Tokenizer.Decode(p.ids[i], tokenizer.DecodeOptions{})
		}
		for range j.choices {
			list = append(list, text)
		}
	}
	return list
}
