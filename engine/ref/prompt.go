package ref

import (
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sample"
)

// tail runs the plan's end, from the first operation over sampling rows up to but not
// including the one at index upto, over these token rows in place of those that sample.
func (p *pass) tail(tokens []int, upto int) {
	p.sampled = tokens
	for i := p.Engine.tail; i < upto; i++ {
		p.op(&p.ops[i])
	}
}

// tiles cuts the rows from..to into as many as the tail's buffers hold.
func (p *pass) tiles(from, to int, do func(tokens []int)) {
	most := int(p.limits.MaxRows)
	for at := from; at < to; at += most {
		var tokens []int
		for t := at; t < min(at+most, to); t++ {
			tokens = append(tokens, t)
		}
		do(tokens)
	}
}

// unsound marks the rows whose tokens have a state that is not finite: what they wrote
// to their pages is not to be used, whether they sample or not.
func (p *pass) unsound() {
	if p.Engine.tail == len(p.ops) {
		return
	}
	in := p.ops[p.Engine.tail].In
	for i := range p.job.rows {
		row := &p.job.rows[i]
		for t := range int(row.Tokens) {
			row.seq.poisoned = row.seq.poisoned || !finite(p.row(in, row.first+t))
		}
		if row.seq.poisoned {
			row.result.Status = abi.RowNaN
		}
	}
}

func finite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 { // NaN for NaN and for the infinities
			return false
		}
	}
	return true
}

// score reports how likely each of the row's tokens made the one after it.
func (p *pass) score(row *jobRow) {
	n := int(row.Tokens)
	if row.Next < 0 {
		n--
	}
	row.prompt = make([]abi.PromptLogprob, n)
	vocab, top := int(p.plan.VocabSize), int(row.seq.spec.Sampling.PromptTop)
	p.tiles(row.first, row.first+n, func(tokens []int) {
		p.tail(tokens, len(p.ops))
		p.each(len(tokens), func(i int) {
			at := tokens[i] - row.first
			next := row.Next
			if at+1 < int(row.Tokens) {
				next = p.job.tokens[tokens[i]+1]
			}
			row.prompt[at] = scored(p.logits[i*vocab:(i+1)*vocab], next, top)
		})
	})
}

// scored is the report of one token.
func scored(logits []float32, token int32, top int) abi.PromptLogprob {
	s := abi.PromptLogprob{Logprob: sample.Logprob(logits, token), Rank: sample.Rank(logits, token), Top: uint32(top)}
	tokens, logprobs := sample.Top(logits, top)
	copy(s.TopTokens[:], tokens)
	copy(s.TopLogprobs[:], logprobs)
	return s
}

// poolRow keeps what the head would read at the row's last token, or the sum of that
// over all its tokens.
func (p *pass) poolRow(row *jobRow) {
	in, last := p.ops[p.headAt].In, row.first+int(row.Tokens)
	if row.Flags&abi.RowPoolSum == 0 {
		p.tail([]int{last - 1}, p.headAt)
		row.aux = append(row.aux, p.row(in, 0)...)
		return
	}
	sums := make([]float64, p.width(in))
	p.tiles(row.first, last, func(tokens []int) {
		p.tail(tokens, p.headAt)
		for i := range tokens {
			for c, v := range p.row(in, i) {
				sums[c] += float64(v)
			}
		}
	})
	for _, sum := range sums {
		row.aux = append(row.aux, float32(sum))
	}
}

// tailOf is the index of the first operation over sampling rows, and of the head;
// len(ops) for none.
func tailOf(plan *abi.Plan) (tail, head int) {
	sampled := map[uint32]bool{}
	for _, b := range plan.Buffers {
		sampled[b.ID] = b.SampledRows
	}
	tail, head = len(plan.Ops), len(plan.Ops)
	for i := range plan.Ops {
		op := &plan.Ops[i]
		if tail == len(plan.Ops) && sampled[op.Out] {
			tail = i
		}
		if head == len(plan.Ops) && op.Kind == abi.OpHead {
			head = i
		}
	}
	return tail, head
}
