package gateway

import (
	"cmp"
	"math"
	"slices"

	"github.com/nanofleet/nanofleet/wire"
)

// gathered is one choice of a whole answer.
type gathered struct {
	prompt   []*wire.Logprob // of the prompt's tokens but the first
	text     []byte
	ids      []int32
	logprobs []*wire.Logprob
	reason   string
	stop     rawJSON
}

// merit is the mean logprob of its tokens, by which candidates are ranked.
func (c *gathered) merit() float64 {
	if len(c.logprobs) == 0 {
		return math.Inf(-1)
	}
	sum := 0.0
	for _, l := range c.logprobs {
		sum += float64(finite(l.GetLogprob()))
	}
	return sum / float64(len(c.logprobs))
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
	c.prompt = append(c.prompt, p.prompt...)
	c.text = append(c.text, p.text...)
	c.ids = append(c.ids, p.ids...)
	c.logprobs = append(c.logprobs, p.logprobs...)
	if p.finished == nil {
		return nil
	}
	if g.job.lacks(i, c.prompt) > 0 {
		return errPromptLogprobs
	}
	c.reason, c.stop, err = g.job.ending(p.finished)
	return err
}

func (g *gatherer) flush() error { return nil }
func (g *gatherer) idle() error  { return nil }

// completion is a whole answer of either endpoint.
type completion struct {
	ID             string  `json:"id"`
	Object         string  `json:"object"`
	Created        int64   `json:"created"`
	Model          string  `json:"model"`
	Choices        []any   `json:"choices"`
	Usage          usage   `json:"usage"`
	Fingerprint    *string `json:"system_fingerprint"`
	PromptLogprobs rawJSON `json:"prompt_logprobs,omitempty"`
	PromptIDs      []int32 `json:"prompt_token_ids,omitempty"`
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
	for i := range g.list {
		g.list[i].prompt = g.list[a.job.lead(i)].prompt
	}
	list := a.job.best(g.list)
	for i := range list {
		c.Choices = append(c.Choices, a.shape.choice(i, &list[i]))
	}
	a.shape.whole(&c, list)
	return a.x.answer(c)
}

// best are the choices of each prompt: the candidates with the highest merit, best
// first. Where all are wanted they keep their order.
func (j *job) best(list []gathered) []gathered {
	if j.candidates == j.choices {
		return list
	}
	var out []gathered
	for candidates := range slices.Chunk(list, j.candidates) {
		slices.SortStableFunc(candidates, func(a, b gathered) int { return cmp.Compare(b.merit(), a.merit()) })
		out = append(out, candidates[:j.choices]...)
	}
	return out
}
