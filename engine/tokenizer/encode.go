package tokenizer

// EncodeOptions choose how Encode reads a text. The zero value is for a user's text.
type EncodeOptions struct {
	// ParseSpecial recognises control tokens in the text: for a template's own text.
	// Without it no control token is ever made.
	ParseSpecial bool
	// AddBOS puts around the text what the model's tokenizer puts there: mostly the
	// BOS token before it, or nothing.
	AddBOS bool
}

// Segment is a part of a text: Trusted for a template's own, not so for what came with
// a request.
type Segment struct {
	Text    string
	Trusted bool
}

// Encode is the ids of text.
func (t *Tokenizer) Encode(text string, o EncodeOptions) []int32 {
	return t.encode(joined([]Segment{{text, o.ParseSpecial}}), o.AddBOS)
}

// EncodeSegments is the ids of the segments' text. Control tokens are made of trusted
// text only. Between them, text is encoded as one, wherever it came from, because
// merges reach over the seams: the ids are those of the whole text wherever no user
// wrote a control token.
func (t *Tokenizer) EncodeSegments(segments []Segment) []int32 {
	return t.encode(joined(segments), false)
}

func (t *Tokenizer) encode(x tracked, ends bool) []int32 {
	e := encoder{t: t, out: make([]int32, 0, len(x.text)/3+4)}
	defer e.release()
	if ends {
		e.out = append(e.out, t.prefix...)
	}
	t.raw.sections(x, e.section, e.put)
	if ends {
		e.out = append(e.out, t.suffix...)
	}
	return e.out
}

func (e *encoder) put(id int32) { e.out = append(e.out, id) }

// section appends a text without unnormalised added tokens, which lies at from in the
// whole.
func (e *encoder) section(x tracked, from int) {
	e.t.normalised.sections(x.normalised(e.t.normalisers), func(part tracked, at int) {
		s := part.text
		if e.t.metaspace != nil {
			s = e.t.metaspace.apply(s, from+at == 0)
		}
		e.pieces(s, e.t.split)
	}, e.put)
}

// pieces cuts s by the first stage of the pre-tokeniser, each part by the next.
func (e *encoder) pieces(s string, stages []splitter) {
	if len(stages) == 0 {
		e.piece(s)
		return
	}
	for len(s) > 0 {
		n := stages[0](s)
		e.pieces(s[:n], stages[1:])
		s = s[n:]
	}
}
