package gateway

// parseLengths reads how long answers may and must be.
func (o object) parseLengths(p *options) error {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		n, err := o.integer(name, 0, maxTokensBound)
		if err != nil {
			return err
		}
		if n != nil && p.maxTokens == 0 {
			if p.maxTokens = int(*n); *n == 0 {
				p.scoring, p.maxTokens = true, 1 // an engine gives one at least; it is not shown
				p.zeroField = name
			}
		}
	}
	least, err := o.integer("min_tokens", 0, maxTokensBound)
	if err != nil {
		return err
	}
	if least != nil {
		p.minTokens = int(*least)
	}
	most := p.maxTokens
	if p.scoring {
		most = 0
	}
	if p.maxTokens > 0 && p.minTokens > most {
		return bad("min_tokens", "%d is more than the %d tokens the answer may have.", p.minTokens, most)
	}
	return nil
}

// parseChoices reads n and best_of.
func (o object) parseChoices(p *options) error {
	p.choices = 1
	n, err := o.integer("n", 1, maxChoices)
	if err != nil {
		return err
	}
	if n != nil {
		p.choices = int(*n)
	}
	p.candidates = p.choices
	best, err := o.integer("best_of", 1, maxChoices)
	if err != nil || best == nil {
		return err
	}
	if p.candidates = int(*best); p.candidates < p.choices {
		return bad("best_of", "%d is less than 'n'. Expected at least %d.", p.candidates, p.choices)
	}
	return nil
}

// checkScoring refuses an answer of no tokens where nothing else was asked for.
func (p *options) checkScoring(echo bool) error {
	if p.scoring && !echo && p.promptTop == nil {
		return bad(p.zeroField, "0 tokens leave nothing to answer. Expected at least 1, or 'echo' or 'prompt_logprobs' with it.")
	}
	return nil
}

// checkRanking refuses what cannot be told before all candidates are there.
func (p *options) checkRanking() error {
	if p.stream && p.candidates > p.choices {
		return bad("best_of", "the best %d of %d cannot be streamed. Expected %d, as 'n' is, or 'stream' false.", p.choices, p.candidates, p.choices)
	}
	if p.stream && p.promptTop != nil {
		return bad("prompt_logprobs", "only allowed when 'stream' is false.")
	}
	return nil
}
