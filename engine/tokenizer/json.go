package tokenizer

import (
	"math"
	"slices"
)

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
		err = unsupported("version %s, only 1.0 is", clip(v))
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
	r := &addedReader{c: f.added.reader()}
	field := r.field
	return r.c.array(func() error {
		a, err := r.token(field)
		f.spec.added = append(f.spec.added, a)
		return err
	})
}

// addedReader reads one added token after the other.
type addedReader struct {
	c    *cursor
	a    addedToken
	seen [7]bool
}

var addedFields = [7]string{"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}

// field reads one field of a token.
func (r *addedReader) field(key []byte) error {
	n := slices.IndexFunc(addedFields[:], func(name string) bool { return name == string(key) })
	if n < 0 {
		return unsupported("added token field %.100q", key)
	}
	if r.seen[n] {
		return r.c.fail("%q is given twice", key)
	}
	r.seen[n] = true
	switch n {
	case 0:
		id, err := r.c.integer()
		r.a.ID = clampID(id)
		return err
	case 1:
		b, err := r.c.text()
		r.a.Content = string(b)
		return err
	}
	on, err := r.c.flag()
	*[...]*bool{&r.a.SingleWord, &r.a.LStrip, &r.a.RStrip, &r.a.Normalized, &r.a.Special}[n-2] = on
	return err
}

// token reads a token, by field as a value made once.
func (r *addedReader) token(field func([]byte) error) (addedToken, error) {
	r.a, r.seen = addedToken{}, [7]bool{}
	err := r.c.object(field)
	if err == nil && !(r.seen[0] && r.seen[1]) {
		err = r.c.fail("added token without id or content")
	}
	return r.a, err
}

// clampID keeps an id that is out of bounds out of bounds.
func clampID(id int64) int32 { return int32(min(max(id, -1), math.MaxInt32)) }

// readVocab reads the model's names and ids.
func (f *file) readVocab() error {
	if !f.vocab.given() {
		return malformed("model has no vocab")
	}
	if f.vocab.reader().peek() == '[' {
		return unsupported("model type %s whose vocab is a list, only BPE is", clip(f.settings["type"]))
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
