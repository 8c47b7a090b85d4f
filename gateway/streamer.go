package gateway

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/nanofleet/nanofleet/wire"
)

// streamer is the sink of streamed answers.
type streamer struct {
	*answer
	out    *sse
	prefix []byte            // of every chunk, up to its choices
	begun  []bool            // the choice's first chunk is written
	prompt [][]*wire.Logprob // of each lead, until its last candidate has begun
}

// stream sends events as they come.
func (a *answer) stream() error {
	n := len(a.flow.counts)
	s := &streamer{answer: a, out: newSSE(a.x), begun: make([]bool, n), prompt: make([][]*wire.Logprob, n)}
	if err := a.flow.pump(s); err != nil {
		return err
	}
	if a.job.withUsage {
		s.out.buf = s.close(append(s.start(s.out.buf), ']'), true)
	}
	s.out.done()
	return nil
}

// part writes the chunks of a sequence's news.
func (s *streamer) part(i int, p *part) error {
	if p.accepted != nil {
		s.accept(p.accepted)
	}
	if !s.begun[i] {
		s.prompt[i] = append(s.prompt[i], p.prompt...) // of leads only
		switch lacks := s.job.lacks(i, s.prompt[i]); {
		case lacks == 0:
			s.begin(i)
		case p.tokens() > 0 || p.finished != nil:
			return errPromptLogprobs
		default:
			return nil // more of them will come
		}
	}
	if len(p.text) > 0 || len(p.logprobs) > 0 || s.job.showIDs && len(p.ids) > 0 {
		s.chunk(i, p, "", nil)
	}
	if p.finished == nil {
		return nil
	}
	reason, stop, err := s.job.ending(p.finished)
	if err != nil {
		return err
	}
	s.chunk(i, &part{}, reason, stop)
	return nil
}

func (s *streamer) flush() error { return s.out.flush() }
func (s *streamer) idle() error  { return s.out.comment() }

// begin writes what comes before a choice's first text.
func (s *streamer) begin(i int) {
	s.begun[i] = true
	start := len(s.out.buf)
	b := s.start(s.out.buf)
	lead := s.job.lead(i)
	open := s.shape.open(b, i, s.prompt[lead])
	if !slices.Contains(s.begun[lead:lead+s.job.candidates], false) {
		s.prompt[lead] = nil
	}
	if len(open) == len(b) { // the endpoint has no such chunk
		s.out.buf = b[:start]
		return
	}
	s.out.buf = s.close(s.shape.beside(append(open, `,"finish_reason":null}]`...)), false)
}

// chunk writes one event: text, or the reason of the end.
func (s *streamer) chunk(i int, p *part, reason string, stop rawJSON) {
	b := s.shape.delta(s.start(s.out.buf), i, p, reason != "")
	b = append(b, `,"finish_reason":`...)
	if reason == "" {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), reason...), `","stop_reason":`...)
		b = appendRaw(b, stop)
	}
	s.out.buf = s.close(append(b, "}]"...), false)
}

// appendRaw appends a value that is JSON already.
func appendRaw(b []byte, v rawJSON) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return append(b, v...)
}

// start begins an event, up to its choices.
func (s *streamer) start(b []byte) []byte {
	if s.prefix == nil {
		s.prefix = append(s.prefix, `data: {"id":`...)
		s.prefix = appendString(s.prefix, []byte(s.id))
		s.prefix = append(append(append(s.prefix, `,"object":"`...), s.shape.chunkObject()...), `","created":`...)
		s.prefix = strconv.AppendInt(s.prefix, s.created, 10)
		s.prefix = append(s.prefix, `,"model":`...)
		s.prefix = appendString(s.prefix, []byte(s.job.model.Name))
		s.prefix = append(s.prefix, `,"system_fingerprint":`...)
		if s.print == "" {
			s.prefix = append(s.prefix, "null"...)
		} else {
			s.prefix = appendString(s.prefix, []byte(s.print))
		}
		s.prefix = append(s.prefix, `,"choices":[`...)
	}
	return append(b, s.prefix...)
}

// close ends an event behind its choices. The last one has the usage, the others
// have it where the client wants it in each.
func (s *streamer) close(b []byte, last bool) []byte {
	switch {
	case last || s.job.usageEach:
		u, _ := json.Marshal(s.job.usage(s.flow.counts)) // numbers always encode
		b = append(append(b, `,"usage":`...), u...)
	case s.job.withUsage:
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}
