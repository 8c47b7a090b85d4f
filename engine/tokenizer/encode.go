package tokenizer

// EncodeOptions choose how Encode reads a text. The zero value is for a user's text.
type EncodeOptions struct {
	// ParseSpecial recognises control tokens in the text: for a template's own text.
	// Without it no control token is ever made.
	ParseSpecial bool
	// AddBOS puts before the text what the model's tokenizer puts there: the BOS
	// token, or nothing where it has none.
	AddBOS bool
}

// Encode is the ids of text.
func (t *Tokenizer) Encode(text string, o EncodeOptions) []int32 {
	e := encoder{t: t, out: make([]int32, 0, len(text)/3+4)}
	if o.AddBOS {
		e.out = append(e.out, t.prefix...)
	}
	for section, id := range t.raw.sections(text, o.ParseSpecial) {
		if id != None {
			e.out = append(e.out, id)
			continue
		}
		e.section(section, o.ParseSpecial)
	}
	return e.out
}

// section appends a text without unnormalised added tokens.
func (e *encoder) section(text string, parseSpecial bool) {
	if e.t.nfc {
		text = nfc(text)
	}
	for s, id := range e.t.normalised.sections(text, parseSpecial) {
		if id != None {
			e.out = append(e.out, id)
			continue
		}
		e.pieces(s, e.t.split)
	}
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
