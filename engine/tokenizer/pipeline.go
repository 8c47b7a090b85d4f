package tokenizer

// readModel reads the model's settings.
func (f *file) readModel() error {
	m := &component{stage: "model", kind: "BPE", fields: f.settings}
	if kind := m.text("type", ""); kind != "BPE" && (kind != "" || !f.merges.given()) {
		return unsupported("model type %q, only BPE is", kind)
	}
	dropout := field[float64](m, "dropout", 0, "a number")
	prefix, suffix := m.text("continuing_subword_prefix", ""), m.text("end_of_word_suffix", "")
	unknown := m.text("unk_token", "")
	m.ignore("fuse_unk") // no text is unknown
	f.spec.whole, f.spec.chars = m.flag("ignore_merges", false), m.flag("byte_fallback", false)
	if err := m.done(); err != nil {
		return err
	}
	switch {
	case dropout != 0:
		return unsupported("model dropout %g, only 0 is", dropout)
	case prefix != "":
		return unsupported("model continuing_subword_prefix %q, only none is", prefix)
	case suffix != "":
		return unsupported("model end_of_word_suffix %q, only none is", suffix)
	case unknown != "" && !f.spec.chars:
		return f.readUnknown(unknown)
	}
	return nil
}

// readUnknown accepts an unknown token that nothing can lead to.
func (f *file) readUnknown(token string) error {
	for b, r := range byteRunes {
		if f.spec.vocab.findString(string(r)) == None {
			return unsupported("model unk_token %q where byte 0x%02x has no token of its own", token, b)
		}
	}
	return nil
}

func (f *file) readNormalizer() error {
	stages, err := f.stages("normalizer")
	if err != nil {
		return err
	}
	for _, c := range stages {
		n, err := c.normaliser()
		if err != nil {
			return err
		}
		f.spec.normalisers = append(f.spec.normalisers, n)
	}
	return nil
}

func (c *component) normaliser() (normaliser, error) {
	switch c.kind {
	case "NFC":
		return normaliseNFC, c.done()
	case "Prepend":
		text := c.text("prepend", "")
		return prepend(text), c.done()
	case "Replace":
		old, regex := c.pattern()
		with := c.text("content", "")
		if err := c.done(); err != nil {
			return nil, err
		}
		if regex {
			return nil, c.unsupported("Regex %.100q, only a String is", old)
		}
		return replace(old, with), nil
	}
	return nil, unsupported("normalizer %q, only NFC, Prepend and Replace are", c.kind)
}

// readPreTokenizer reads a list of splitting stages that ends in ByteLevel or, for a
// SentencePiece vocabulary, what there is of Metaspace and Split.
func (f *file) readPreTokenizer() error {
	stages, err := f.stages("pre_tokenizer")
	if err != nil {
		return err
	}
	if f.spec.chars {
		return f.readMetaspace(stages)
	}
	for i, c := range stages {
		last := i == len(stages)-1
		if (c.kind == "ByteLevel") != last {
			return unsupported("pre_tokenizer %q at place %d of %d: ByteLevel must be last, and only it", c.kind, i+1, len(stages))
		}
		split, err := c.splitter()
		if err != nil {
			return err
		}
		if split != nil {
			f.spec.split = append(f.spec.split, split)
		}
	}
	if len(stages) == 0 {
		return unsupported("a pre_tokenizer without ByteLevel")
	}
	return nil
}

// splitter is the stage that c describes; nil where it does not split.
func (c *component) splitter() (splitter, error) {
	switch c.kind {
	case "Digits":
		individual := c.flag("individual_digits", false)
		if individual {
			return splitDigit, c.done()
		}
		return splitDigits, c.done()
	case "Split":
		return c.patternSplitter()
	case "ByteLevel":
		prefix, regex := c.flag("add_prefix_space", false), c.flag("use_regex", true)
		c.ignore("trim_offsets")
		switch {
		case prefix:
			return nil, c.unsupported("add_prefix_space, only false is")
		case regex:
			return splitGPT2, c.done()
		}
		return nil, c.done()
	}
	return nil, unsupported("pre_tokenizer %q", c.kind)
}

// patternSplitter knows the expressions that match every text, for which isolating
// matches and removing what is between them are the same.
func (c *component) patternSplitter() (splitter, error) {
	text, regex := c.pattern()
	behavior, invert := c.text("behavior", ""), c.flag("invert", false)
	if err := c.done(); err != nil {
		return nil, err
	}
	if !regex {
		return nil, unsupported("pre_tokenizer Split pattern %.100q that is not a Regex", text)
	}
	split, ok := splitters[text]
	if !ok {
		return nil, unsupported("pre_tokenizer Split regex %q", text)
	}
	isolates := behavior == "Isolated" && !invert || behavior == "Removed" && invert
	if !isolates {
		return nil, unsupported("pre_tokenizer Split behavior %.100q with invert %t", behavior, invert)
	}
	return split, nil
}

// readMetaspace reads the pre-tokeniser of a SentencePiece vocabulary: none, one
// Metaspace, or Gemma's Split behind each space.
func (f *file) readMetaspace(stages []*component) error {
	if len(stages) > 1 {
		return unsupported("pre_tokenizer of %d stages for a SentencePiece vocabulary", len(stages))
	}
	for _, c := range stages {
		switch c.kind {
		case "Metaspace":
			mark, scheme, split, err := c.metaspace()
			if err != nil {
				return err
			}
			f.spec.metaspace = &metaspace{mark: mark, scheme: scheme}
			if split {
				f.spec.split = []splitter{splitAtMark(mark)}
			}
		case "Split":
			text, regex := c.pattern()
			behavior, invert := c.text("behavior", ""), c.flag("invert", false)
			if err := c.done(); err != nil {
				return err
			}
			if regex || behavior != "MergedWithPrevious" || invert {
				return c.unsupported("pattern %.100q, behavior %.100q, invert %t: only a String with MergedWithPrevious is", text, behavior, invert)
			}
			f.spec.split = []splitter{splitAfter(text)}
		default:
			return unsupported("pre_tokenizer %q for a SentencePiece vocabulary", c.kind)
		}
	}
	return nil
}

// metaspace reads Metaspace's fields, old and new.
func (c *component) metaspace() (mark, scheme string, split bool, err error) {
	mark = c.text("replacement", "")
	scheme = c.text("prepend_scheme", prependAlways)
	if !c.flag("add_prefix_space", scheme != prependNever) {
		scheme = prependNever
	}
	split = c.flag("split", true)
	c.ignore("str_rep")
	if err := c.done(); err != nil {
		return "", "", false, err
	}
	if mark != metaspaceMark {
		return "", "", false, c.unsupported("replacement %q, only %q is", mark, metaspaceMark)
	}
	if scheme != prependAlways && scheme != prependFirst && scheme != prependNever {
		return "", "", false, c.unsupported("prepend_scheme %q, only always, first and never are", scheme)
	}
	return mark, scheme, split, nil
}

func (f *file) readPostProcessor() error {
	stages, err := f.stages("post_processor")
	if err != nil {
		return err
	}
	for _, c := range stages {
		switch c.kind {
		case "ByteLevel": // moves offsets only
			c.ignore("add_prefix_space", "trim_offsets", "use_regex")
			err = c.done()
		case "TemplateProcessing":
			err = c.template(&f.spec)
		default:
			err = unsupported("post_processor %q", c.kind)
		}
		if err != nil {
			return err
		}
	}
	if len(f.spec.prefix) > 0 {
		f.spec.bos = f.spec.prefix[0]
	}
	return nil
}

// template reads the tokens around one text.
func (c *component) template(s *spec) error {
	single, special := c.list("single"), c.object("special_tokens")
	c.ignore("pair")
	if err := c.done(); err != nil {
		return err
	}
	if len(s.prefix)+len(s.suffix) > 0 {
		return c.unsupported("twice")
	}
	around := &s.prefix
	for _, v := range single {
		part, _ := v.(map[string]any)
		token, isToken := part["SpecialToken"].(map[string]any)
		_, isText := part["Sequence"].(map[string]any)
		switch {
		case isText && around == &s.prefix:
			around = &s.suffix
		case !isToken:
			return c.unsupported("more than tokens around one text")
		default:
			ids, err := c.tokenIDs(token, special)
			if err != nil {
				return err
			}
			*around = append(*around, ids...)
		}
	}
	if around == &s.prefix {
		return c.unsupported("without the text")
	}
	return nil
}

// tokenIDs is the ids of a template's token.
func (c *component) tokenIDs(token, special map[string]any) ([]int32, error) {
	name, _ := token["id"].(string)
	entry, _ := special[name].(map[string]any)
	list, _ := entry["ids"].([]any)
	var ids []int32
	for _, v := range list {
		n, ok := v.(float64)
		if !ok || n < 0 || n > maxID || n != float64(int32(n)) {
			return nil, malformed("post_processor TemplateProcessing: id %s of %.100q is not a token id", clip(v), name)
		}
		ids = append(ids, int32(n))
	}
	if len(ids) == 0 {
		return nil, malformed("post_processor TemplateProcessing: token %q is not in special_tokens", name)
	}
	return ids, nil
}
