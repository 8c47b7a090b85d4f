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
	t.hasTrie.Do(t.setTrie)
	e := encoder{t: t, out: make([]int32, 0, len(x.text)/3+4), path: t.borrow()}
	defer t.paths.Put(e.path)
	e.text(x, ends)
	return e.out
}

func (t *Tokenizer) borrow() *path {
	if p, ok := t.paths.Get().(*path); ok {
		return p
	}
	return new(path)
}

// encoder appends the ids of one text to out.
type encoder struct {
	t    *Tokenizer
	out  []int32
	path *path
}

// text appends a text and, if asked for, what the tokenizer puts around it.
func (e *encoder) text(x tracked, ends bool) {
	t := e.t
	if ends {
		e.out = append(e.out, t.prefix...)
	}
	t.raw.sections(x, e.section, e.put)
	if ends {
		e.out = append(e.out, t.suffix...)
	}
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

// piece appends the ids of one piece of the pre-tokeniser.
func (e *encoder) piece(s string) {
	if e.t.whole && (e.t.chars || len(s) > 1) {
		e.path.work += len(s)
		if id := e.t.piece(s); id != None {
			e.out = append(e.out, id)
			return
		}
	}
	for e.t.chars && len(s) > 0 {
		n := e.t.joins.cut(s)
		e.word(s[:n])
		s = s[n:]
	}
	if len(s) > 0 {
		e.word(s)
	}
}

// word appends the ids of a piece in which every character may join the next.
func (e *encoder) word(s string) {
	if e.t.stepwise {
		var q queue
		e.out = q.merge(e.t, e.t.symbols(s, nil), e.out)
		return
	}
	e.out = e.path.word(e.t, s, e.out)
}
