package engine

import (
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sched"
)

// reports walks what the rows of a result tell beside tokens, in row order.
type reports struct {
	result        *abi.Result
	width         int // of a vector
	prompts, auxs int // taken so far
}

// report is what one row tells.
type report struct {
	prompt []abi.PromptLogprob
	vector []float32
}

// of gives what the next row tells.
func (r *reports) of(row *abi.Row) (one report) {
	if row.Flags&abi.RowPromptLogprobs != 0 {
		n := int(row.Tokens)
		if row.Next < 0 {
			n--
		}
		one.prompt = r.result.Prompt[r.prompts : r.prompts+n]
		r.prompts += n
	}
	if row.Flags&abi.RowPool != 0 {
		one.vector = r.result.Aux[r.auxs : r.auxs+r.width]
		r.auxs += r.width
	}
	return one
}

// sound tells whether everything told is a number; a logprob may be -Inf.
func (r report) sound() bool {
	for i := range r.prompt {
		if p := r.prompt[i].Logprob; p != p {
			return false
		}
	}
	for _, v := range r.vector {
		if v-v != 0 { // NaN for NaN and for the infinities
			return false
		}
	}
	return true
}

// score takes in how likely the tokens after position start on were. A row that is
// computed again after a preemption tells what is known already; one that goes on
// behind the prompt tells too much.
func (s *Sequence) score(start int, told []abi.PromptLogprob) {
	if s.place.Score == 0 {
		return
	}
	var fresh []TokenLogprob
	for i := s.scored - start; i < len(told) && s.scored+1 < s.place.Score; i++ {
		s.scored++
		fresh = append(fresh, promptLogprob(s.req.Prompt[s.scored], &told[i]))
	}
	if s.scored+1 == s.place.Score {
		s.place.Score = 0
	}
	if len(fresh) > 0 {
		s.tell(func() { s.prompt.Tokens = append(s.prompt.Tokens, fresh...) })
	}
}

func promptLogprob(id int32, p *abi.PromptLogprob) TokenLogprob {
	l := TokenLogprob{ID: id, Logprob: p.Logprob, Rank: p.Rank}
	for i := range p.Top {
		l.Top = append(l.Top, TokenLogprob{ID: p.TopTokens[i], Logprob: p.TopLogprobs[i]})
	}
	return l
}

// pool takes in a row's vector; true once the whole prompt's is told.
func (s *Sequence) pool(row *sched.Row, vector []float32) bool {
	if s.req.Pool == PoolMean {
		s.add(row.Start, vector)
	}
	if row.End < len(s.req.Prompt) {
		return false
	}
	values := append([]float32(nil), vector...)
	for i := range s.sums {
		values[i] = float32(s.sums[i] / float64(len(s.req.Prompt)))
	}
	s.tell(func() { s.pooled = &Pooled{values} })
	return true
}

// add adds a row's sum; the first row begins anew, after a preemption too.
func (s *Sequence) add(start int, sum []float32) {
	if start == 0 {
		s.sums = make([]float64, len(sum))
	}
	for i, v := range sum {
		s.sums[i] += float64(v)
	}
}
