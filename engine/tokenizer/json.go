package tokenizer

import "math"

// file is a Hugging Face tokenizer.json, its large parts as they are written.
type file struct {
	components map[string]any // normalizer, pre_tokenizer, post_processor, decoder
	settings   map[string]any // the model's small fields
	added      part
	vocab      part
	merges     part
	spec       spec
}

// part is an array or object of a file, file[from:to].
type part struct {
	file     []byte
	from, to int
	entries  int
}

// FromJSON reads a Hugging Face tokenizer.json that holds a byte-level BPE tokenizer
// or a SentencePiece BPE tokenizer with byte fallback. Anything in it that would
// change ids and is not supported is an error. BOS is what its post-processor puts
// first; EOS is None.
func FromJSON(b []byte) (*Tokenizer, error) {
	f := &file{components: map[string]any{}, settings: map[string]any{}, spec: spec{bos: None, eos: None}}
	for _, read := range []func() error{
		func() error { return f.survey(b) },
		f.readAdded, f.readVocab, f.readModel, f.readNormalizer, f.readPreTokenizer, f.readPostProcessor, f.readDecoder, f.readMerges,
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return f.spec.build()
}

// survey finds the parts of the file.
func (f *file) survey(b []byte) error {
	c := &cursor{b: b}
	seen := map[string]bool{}
	err := c.object(func(key []byte) (err error) {
		name := string(key)
		if seen[name] {
			return c.fail("%q is given twice", name)
		}
		seen[name] = true
		switch name {
		case "model":
			return f.surveyModel(c)
		case "added_tokens":
			f.added, err = c.part()
		case "normalizer", "pre_tokenizer", "post_processor", "decoder":
			f.components[name], err = c.value()
		case "version":
			err = f.readVersion(c)
		default: // truncation, padding and what the reference does not know either
			err = c.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.peek(); c.at < len(b) {
		return c.fail("more after the end")
	}
	return nil
}

func (f *file) readVersion(c *cursor) error {
	v, err := c.value()
	if err == nil && v != "1.0" {
		err = unsupported("version %v, only 1.0 is", v)
	}
	return err
}

func (f *file) surveyModel(c *cursor) error {
	return c.object(func(key []byte) (err error) {
		name := string(key)
		_, twice := f.settings[name]
		if twice || name == "vocab" && f.vocab.given() || name == "merges" && f.merges.given() {
			return c.fail("model %q is given twice", name)
		}
		switch name {
		case "vocab":
			f.vocab, err = c.part()
		case "merges":
			f.merges, err = c.part()
		default:
			f.settings[name], err = c.value()
		}
		return err
	})
}

// part passes over a value that is read later.
func (c *cursor) part() (part, error) {
	c.peek()
	from := c.at
	entries, err := c.pass()
	return part{c.b, from, c.at, entries}, err
}

// given says whether the part is in the file and not null.
func (p part) given() bool { return p.from < p.to && p.file[p.from] != 'n' }

func (p part) reader() *cursor { return &cursor{b: p.file[:p.to], at: p.from} }

// readAdded reads the added tokens.
func (f *file) readAdded() error {
	if !f.added.given() {
		return nil
	}
	if f.added.entries > maxAdded {
		return malformed("added_tokens has %d tokens, more than %d", f.added.entries, maxAdded)
	}
	f.spec.added = make([]addedToken, 0, f.added.entries)
	c := f.added.reader()
	return c.array(func() error {
		a, err := c.addedToken()
		f.spec.added = append(f.spec.added, a)
		return err
	})
}

// addedToken reads one added token.
func (c *cursor) addedToken() (a addedToken, err error) {
	flags := map[string]*bool{
		"single_word": &a.SingleWord, "lstrip": &a.LStrip, "rstrip": &a.RStrip, "normalized": &a.Normalized, "special": &a.Special,
	}
	seen := map[string]bool{}
	err = c.object(func(key []byte) (err error) {
		name := string(key)
		if seen[name] {
			return c.fail("%q is given twice", name)
		}
		seen[name] = true
		switch flag := flags[name]; {
		case flag != nil:
			*flag, err = c.flag()
		case name == "content":
			var b []byte
			b, err = c.text()
			a.Content = string(b)
		case name == "id":
			var id int64
			id, err = c.integer()
			a.ID = clampID(id)
		default:
			err = unsupported("added token field %q", name)
		}
		return err
	})
	if err == nil && !(seen["id"] && seen["content"]) {
		err = c.fail("added token without id or content")
	}
	return a, err
}

// clampID keeps an id that is out of bounds out of bounds.
func clampID(id int64) int32 { return int32(min(max(id, -1), math.MaxInt32)) }

// readVocab reads the model's names and ids.
func (f *file) readVocab() error {
	if !f.vocab.given() {
		return malformed("model has no vocab")
	}
	if f.vocab.reader().peek() == '[' {
		return unsupported("model type %v whose vocab is a list, only BPE is", f.settings["type"])
	}
	const least = len(`"":0,`)
	v := newVocabulary(f.vocab.entries, max(0, f.vocab.to-f.vocab.from-least*f.vocab.entries))
	f.spec.vocab = v
	c := f.vocab.reader()
	return c.object(func(key []byte) error {
		entry := v.len()
		if !v.add(key, 0) {
			return malformed("token %q is in the vocabulary twice", key)
		}
		id, err := c.integer()
		if v.ids[entry] = clampID(id); err == nil && v.ids[entry] < 0 || v.ids[entry] > maxID {
			return malformed("token %q has id %d, outside 0 to %d", v.name(entry), id, maxID)
		}
		return err
	})
}

// readMerges arranges for the merges to be read once the tokens are known.
func (f *file) readMerges() error {
	if !f.merges.given() {
		return malformed("model has no merges")
	}
	f.spec.mergeCount = f.merges.entries
	f.spec.merges = func(put putMerge) error {
		c, r := f.merges.reader(), mergeReader{vocab: f.spec.vocab, put: put}
		return c.array(func() error { return c.merge(&r) })
	}
	return nil
}

// merge reads both forms of a merge: "a b" and ["a", "b"].
func (c *cursor) merge(r *mergeReader) error {
	if c.peek() == '"' {
		line, err := c.text()
		if err != nil {
			return err
		}
		return r.line(line)
	}
	var left, right []byte
	parts := 0
	err := c.array(func() (err error) {
		if parts++; parts == 1 {
			left, err = c.text()
			left = append(r.left[:0], left...)
			r.left = left
			return err
		}
		right, err = c.text()
		return err
	})
	if err != nil {
		return err
	}
	if parts != 2 {
		return malformed("merge %d has %d parts, not 2", r.rank, parts)
	}
	return r.pair(left, right)
}
