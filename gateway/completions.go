package gateway

import "unicode/utf8"

// defaultCompletionTokens is the length of a completion by default.
const defaultCompletionTokens = 16

// completions answers POST /v1/completions.
func (g *Gateway) completions(x *exchange) error {
	body, p, err := x.options()
	if err != nil {
		return err
	}
	top, err := body.integer("logprobs", 0, maxTopLogprobs)
	if err != nil {
		return err
	}
	echo, err := body.flag("echo", false)
	if err != nil {
		return err
	}
	prompts, err := body.parsePrompts("prompt", maxPrompts)
	if err != nil {
		return err
	}
	if err := p.checkCompletion(prompts.len(), echo); err != nil {
		return err
	}
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	j := &job{options: p, model: m, prompts: prompts.encode(m)}
	cut := j.cutPrompts()
	if p.maxTokens == 0 {
		p.maxTokens = j.defaultLength()
	}
	if err := j.check("prompt"); err != nil {
		return err
	}
	s := &textShape{style: j.style(top != nil), offset: make([]int, len(j.prompts)*j.candidates)}
	if top != nil {
		s.top, p.sampling.TopLogprobs = int(*top), uint32(*top)
	}
	p.sampling.Logprobs = s.logprobs || p.candidates > p.choices
	if echo {
		s.echoes(prompts, cut)
		p.askEcho(top)
	}
	return j.run(x, s)
}

// checkCompletion refuses what cannot be run or told.
func (p *options) checkCompletion(prompts int, echo bool) error {
	if n := prompts * p.candidates; n > maxSequences {
		field := "n"
		if p.candidates > p.choices {
			field = "best_of"
		}
		return bad(field, "%d choices of %d prompts are %d sequences. Expected at most %d.", p.candidates, prompts, n, maxSequences)
	}
	if err := p.checkScoring(echo); err != nil {
		return err
	}
	return p.checkRanking()
}

// askEcho asks for the logprobs of the prompt that is shown with those of the answer.
func (p *options) askEcho(top *int64) {
	if top == nil {
		return
	}
	most := uint32(*top)
	if p.promptTop != nil {
		most = max(most, *p.promptTop)
	}
	p.askTop = &most
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

// echoes prepares the shape to show the prompts: as they were sent, or what is left of
// them if they were cut.
func (s *textShape) echoes(p *prompts, cut bool) {
	s.echo = make([]string, len(s.job.prompts))
	for i, ids := range s.job.prompts {
		if len(p.texts) > 0 && !cut {
			s.echo[i] = p.texts[i]
		} else {
			s.echo[i] = s.job.model.text(ids)
		}
	}
	for i := range s.offset {
		s.offset[i] = utf8.RuneCountInString(s.echo[i/s.job.candidates])
	}
}
