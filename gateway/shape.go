package gateway

import (
	"strconv"

	"github.com/nanofleet/nanofleet/wire"
)

// shape is what tells the answers of the two endpoints apart.
type shape interface {
	idPrefix() string
	object() string                // of a whole answer
	chunkObject() string           // of a streamed one
	choice(i int, c *gathered) any // of a whole answer
	// whole adds what an answer has beside its choices.
	whole(c *completion, list []gathered)
	// open appends what comes before a choice's first text: the "choice" fields of a
	// chunk of its own. Nothing, if there is none.
	open(b []byte, i int, prompt []*wire.Logprob) []byte
	// beside appends the fields of such a chunk that are not its choice's.
	beside(b []byte) []byte
	// delta appends the fields of a chunk's choice but its finish_reason.
	delta(b []byte, i int, p *part, last bool) []byte
}

// style is how both shapes show tokens.
type style struct {
	job      *job
	logprobs bool // of the answer's tokens
}

func (j *job) style(logprobs bool) style { return style{job: j, logprobs: logprobs} }

// beside appends nothing.
func (style) beside(b []byte) []byte { return b }

// appendIDs appends the tokens in numbers where they are wanted.
func (s style) appendIDs(b []byte, name string, ids []int32) []byte {
	if !s.job.showIDs {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":[`...)
	for i, id := range ids {
		b = strconv.AppendInt(comma(b, i), int64(id), 10)
	}
	return append(b, ']')
}

// ids are the tokens of a whole choice, where they are wanted.
func (s style) ids(ids []int32) []int32 {
	if !s.job.showIDs {
		return nil
	}
	return ids
}

// promptLogprobs are those of a whole choice, where they are wanted.
func (s style) promptLogprobs(c *gathered) []byte {
	if s.job.promptTop == nil {
		return nil
	}
	return appendPromptLogprobs(nil, c.prompt, int(*s.job.promptTop), s.job.nameByID)
}
