package gateway

import (
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// prompts are those of a request, as texts or as token ids.
type prompts struct {
	texts []string
	ids   [][]int32
	bare  bool // texts get no BOS
}

func (p *prompts) len() int { return max(len(p.texts), len(p.ids)) }

const promptType = "a string, an array of strings, an array of token ids, or an array of arrays of token ids"

// parsePrompts reads a field in any of its four forms, of at most so many prompts.
func (o object) parsePrompts(field string, most int) (*prompts, error) {
	special, err := o.flag("add_special_tokens", true)
	if err != nil {
		return nil, err
	}
	p := &prompts{bare: !special}
	switch v := o.get(field).(type) {
	case nil:
		return nil, missing(field, "you must provide it: %s.", promptType)
	case jinja.String:
		p.texts = []string{v.String()}
	case *jinja.List:
		err = p.list(field, v.Items(), most)
	default:
		err = o.wrongType(field, promptType)
	}
	return p, err
}

func (p *prompts) list(field string, items []jinja.Value, most int) error {
	if len(items) == 0 {
		return bad(field, "the array is empty. Expected %s.", promptType)
	}
	if _, ok := integerOf(items[0]); ok {
		ids, err := tokenIDs(field, items)
		p.ids = [][]int32{ids}
		return err
	}
	if len(items) > most {
		return bad(field, "%d prompts. Expected at most %d.", len(items), most)
	}
	for _, item := range items {
		if err := p.add(field, item); err != nil {
			return err
		}
	}
	return nil
}

func (p *prompts) add(field string, item jinja.Value) error {
	switch v := item.(type) {
	case jinja.String:
		p.texts = append(p.texts, v.String())
	case *jinja.List:
		ids, err := tokenIDs(field, v.Items())
		if err != nil {
			return err
		}
		p.ids = append(p.ids, ids)
	default:
		return wrongItem(field, promptType, item)
	}
	if len(p.texts) > 0 && len(p.ids) > 0 {
		return wrongItem(field, promptType, item)
	}
	return nil
}

// encode is the token ids of each.
func (p *prompts) encode(m *Model) [][]int32 {
	if len(p.ids) > 0 {
		return p.ids
	}
	list := make([][]int32, len(p.texts))
	for i, text := range p.texts {
		list[i] = m.Tokenizer.Encode(text, tokenizer.EncodeOptions{AddBOS: !p.bare})
	}
	return list
}

// text is that of token ids.
func (m *Model) text(ids []int32) string { return m.Tokenizer.Decode(ids, tokenizer.DecodeOptions{}) }
