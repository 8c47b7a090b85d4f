package gateway

// usage counts tokens as OpenAI's API does: a prompt counts once, however many
// choices it has.
type usage struct {
	Prompt     int            `json:"prompt_tokens"`
	Completion int            `json:"completion_tokens"`
	Total      int            `json:"total_tokens"`
	Details    *promptDetails `json:"prompt_tokens_details"`
}

type promptDetails struct {
	Cached int `json:"cached_tokens"`
}

// usage is what the job's sequences used so far. Cached are the tokens that the
// first candidate of each prompt found in the prefix cache: the others share them.
func (j *job) usage(counts []count) usage {
	u := usage{Details: &promptDetails{}}
	for i, c := range counts {
		if !j.scoring {
			u.Completion += c.generated
		}
		if i%j.candidates == 0 {
			u.Prompt += len(j.prompts[i/j.candidates])
			u.Details.Cached += c.cached
		}
	}
	u.Total = u.Prompt + u.Completion
	return u
}

// spent is what the limiter is told: usage, without the prompts that never reached
// an engine.
func (j *job) spent(counts []count) int {
	total := 0
	for i, prompt := range j.prompts {
		reached := false
		for _, c := range counts[i*j.candidates : (i+1)*j.candidates] {
			total += c.generated
			reached = reached || c.prompt > 0
		}
		if reached {
			total += len(prompt)
		}
	}
	return total
}
