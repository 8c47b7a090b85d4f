package gateway

import (
	"encoding/json"

	"github.com/nanofleet/nanofleet/wire"
)

// gathered is one choice of a whole answer.
type gathered struct {
	text     []byte
	logprobs []*wire.Logprob
	reason   string
}

// gatherer is the sink of whole answers.
type gatherer struct {
	*answer
	list []gathered
}

func (g *gatherer) part(i int, p *part) (err error) {
	if p.accepted != nil {
		g.accept(p.accepted)
	}
	c := &g.list[i]
	c.text = append(c.text, p.text...)
	c.logprobs = append(c.logprobs, p.logprobs...)
	if p.finished != nil {
		c.reason, err = finishReason(p.finished)
	}
	return err
}

func (g *gatherer) flush() error { return nil }
func (g *gatherer) idle() error  { return nil }

// completion is a whole answer of either endpoint.
type completion struct {
	ID          string  `json:"id"`
	Object      string  `json:"object"`
	Created     int64   `json:"created"`
	Model       string  `json:"model"`
	Choices     []any   `json:"choices"`
	Usage       usage   `json:"usage"`
	Fingerprint *string `json:"system_fingerprint"`
}

// whole gathers all choices and answers with them.
func (a *answer) whole() error {
	g := &gatherer{answer: a, list: make([]gathered, len(a.flow.counts))}
	if err := a.flow.pump(g); err != nil {
		return err
	}
	c := completion{
		ID: a.id, Object: a.shape.object(), Created: a.created, Model: a.job.model.Name,
		Usage: a.job.usage(a.flow.counts), Fingerprint: nullable(a.print),
	}
	for i, choice := range g.list {
		c.Choices = append(c.Choices, a.shape.choice(i, &choice))
	}
	return a.x.answer(c)
}

// chatChoice is a choice of a whole chat answer.
type chatChoice struct {
	Index    int             `json:"index"`
	Message  chatMessage     `json:"message"`
	Logprobs json.RawMessage `json:"logprobs"`
	Reason   string          `json:"finish_reason"`
}

type chatMessage struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

// textChoice is a choice of a whole completion.
type textChoice struct {
	Text     string          `json:"text"`
	Index    int             `json:"index"`
	Logprobs json.RawMessage `json:"logprobs"`
	Reason   string          `json:"finish_reason"`
}
