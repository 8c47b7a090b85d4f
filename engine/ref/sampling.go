package ref

import (
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sample"
)

// keepLogits copies the logits of the rows that ask for them.
func (p *pass) keepLogits() {
	vocab := int(p.plan.VocabSize)
	for r, i := range p.rowOf {
		if p.job.rows[i].Flags&abi.RowLogits != 0 {
			p.job.rows[i].aux = append(p.job.rows[i].aux, p.logits[r*vocab:(r+1)*vocab]...)
		}
	}
}

// sample samples the rows without a late mask, or those with one.
func (p *pass) sample(late bool) {
	for r, i := range p.rowOf {
		if row := &p.job.rows[i]; (row.Flags&abi.RowLateMask != 0) == late {
			p.sampleRow(row, p.logits[r*int(p.plan.VocabSize):(r+1)*int(p.plan.VocabSize)])
		}
	}
}

// sampleRow chooses the row's token and reports its raw logprob and alternatives.
func (p *pass) sampleRow(row *jobRow, logits []float32) {
	spec := &row.seq.spec
	choice := &sample.Row{Logits: logits, History: p.history(row), Prompt: int(spec.PromptLen), Mask: row.mask, Slot: spec}
	token, ok := int32(0), false
	if !row.seq.poisoned {
		token, ok = sample.Choose(choice)
	}
	if !ok {
		row.seq.poisoned = true
		row.result.Status = abi.RowNaN
		return
	}
	r := &row.result
	r.Accepted, r.Tokens[0] = 1, token
	row.seq.last = token
	if spec.Sampling.Logprobs {
		r.Logprobs[0] = sample.Logprob(logits, token)
	}
	if n := spec.Sampling.TopLogprobs; n > 0 {
		tokens, logprobs := sample.Top(logits, int(n))
		r.Top = n
		copy(r.TopTokens[:], tokens)
		copy(r.TopLogprobs[:], logprobs)
	}
}

// history is the token ids of every position up to the row's last.
func (p *pass) history(row *jobRow) []int32 {
	out := make([]int32, row.start+row.Tokens)
	for i := range out {
		out[i] = *p.pool.token(row.page(uint32(i)))
	}
	return out
}
