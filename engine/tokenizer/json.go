package tokenizer

import (
	"encoding/json"
	"strings"
)

// fileJSON is a Hugging Face tokenizer.json.
type fileJSON struct {
	AddedTokens   []addedToken   `json:"added_tokens"`
	Normalizer    *componentJSON `json:"normalizer"`
	PreTokenizer  *componentJSON `json:"pre_tokenizer"`
	PostProcessor *componentJSON `json:"post_processor"`
	Decoder       *componentJSON `json:"decoder"`
	Model         modelJSON      `json:"model"`
}

// componentJSON is any stage of the pipeline; Type says which fields count.
type componentJSON struct {
	Type          string                `json:"type"`
	Normalizers   []componentJSON       `json:"normalizers"`
	PreTokenizers []componentJSON       `json:"pretokenizers"`
	Processors    []componentJSON       `json:"processors"`
	Decoders      []componentJSON       `json:"decoders"`
	Pattern       patternJSON           `json:"pattern"`
	Behavior      string                `json:"behavior"`
	Invert        bool                  `json:"invert"`
	AddPrefix     bool                  `json:"add_prefix_space"`
	UseRegex      *bool                 `json:"use_regex"`
	Individual    bool                  `json:"individual_digits"`
	Single        []templateJSON        `json:"single"`
	Special       map[string]specialIDs `json:"special_tokens"`
}

type patternJSON struct {
	Regex  *string `json:"Regex"`
	String *string `json:"String"`
}

type templateJSON struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence"`
}

type specialIDs struct {
	IDs []int32 `json:"ids"`
}

type modelJSON struct {
	Type         string           `json:"type"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       []merge          `json:"merges"`
	Dropout      *float64         `json:"dropout"`
	Unknown      *string          `json:"unk_token"`
	Prefix       string           `json:"continuing_subword_prefix"`
	Suffix       string           `json:"end_of_word_suffix"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
}

// UnmarshalJSON reads both forms of a merge: "a b" and ["a", "b"].
func (m *merge) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		var both []string
		if err := json.Unmarshal(b, &both); err != nil {
			return err
		}
		if len(both) != 2 {
			return malformed("merge %s has %d parts, not 2", b, len(both))
		}
		m.left, m.right = both[0], both[1]
		return nil
	}
	var line string
	if err := json.Unmarshal(b, &line); err != nil {
		return err
	}
	return m.parse(line)
}

// parse reads "a b".
func (m *merge) parse(line string) error {
	left, right, ok := strings.Cut(line, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return malformed("merge %q is not two tokens with a space between", line)
	}
	m.left, m.right = left, right
	return nil
}

// FromJSON reads a Hugging Face tokenizer.json that holds a byte-level BPE tokenizer.
// Anything in it that would change ids and is not supported is an error. BOS is what
// its post-processor puts first; EOS is None.
func FromJSON(b []byte) (*Tokenizer, error) {
	var f fileJSON
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, malformed("tokenizer.json: %v", err)
	}
	s := spec{vocab: f.Model.Vocab, merges: f.Model.Merges, added: f.AddedTokens, whole: f.Model.IgnoreMerges, bos: None, eos: None}
	for _, read := range []func(*fileJSON, *spec) error{
		readModel, readNormalizer, readPreTokenizer, readPostProcessor, readDecoder,
	} {
		if err := read(&f, &s); err != nil {
			return nil, err
		}
	}
	return s.build()
}

func readModel(f *fileJSON, _ *spec) error {
	m := &f.Model
	switch {
	case m.Type != "BPE" && (m.Type != "" || m.Merges == nil):
		return unsupported("model type %q, only BPE is", m.Type)
	case m.Dropout != nil && *m.Dropout != 0:
		return unsupported("model dropout %g, only 0 is", *m.Dropout)
	case m.Prefix != "":
		return unsupported("model continuing_subword_prefix %q, only none is", m.Prefix)
	case m.Suffix != "":
		return unsupported("model end_of_word_suffix %q, only none is", m.Suffix)
	case m.ByteFallback:
		return unsupported("model byte_fallback, only byte-level vocabularies are")
	case m.Unknown != nil && *m.Unknown != "":
		return readUnknown(m)
	}
	return nil
}

// readUnknown accepts an unknown token that nothing can lead to.
func readUnknown(m *modelJSON) error {
	for b, r := range byteRunes {
		if _, ok := m.Vocab[string(r)]; !ok {
			return unsupported("model unk_token %q where byte 0x%02x has no token of its own", *m.Unknown, b)
		}
	}
	return nil
}

func readNormalizer(f *fileJSON, s *spec) error {
	for _, c := range flatten(f.Normalizer) {
		if c.Type != "NFC" {
			return unsupported("normalizer %q, only NFC is", c.Type)
		}
		s.nfc = true
	}
	return nil
}

// readPreTokenizer reads a list of splitting stages that ends in ByteLevel.
func readPreTokenizer(f *fileJSON, s *spec) error {
	stages := flatten(f.PreTokenizer)
	for i, c := range stages {
		last := i == len(stages)-1
		if (c.Type == "ByteLevel") != last {
			return unsupported("pre_tokenizer %q at place %d of %d: ByteLevel must be last, and only it", c.Type, i+1, len(stages))
		}
		split, err := c.splitter()
		if err != nil {
			return err
		}
		if split != nil {
			s.split = append(s.split, split)
		}
	}
	if len(stages) == 0 {
		return unsupported("a pre_tokenizer without ByteLevel")
	}
	return nil
}

// splitter is the stage that c describes; nil where it does not split.
func (c *componentJSON) splitter() (splitter, error) {
	switch c.Type {
	case "Digits":
		if c.Individual {
			return splitDigit, nil
		}
		return splitDigits, nil
	case "Split":
		return c.patternSplitter()
	case "ByteLevel":
		if c.AddPrefix {
			return nil, unsupported("pre_tokenizer ByteLevel add_prefix_space, only false is")
		}
		if c.UseRegex != nil && !*c.UseRegex {
			return nil, nil
		}
		return splitGPT2, nil
	}
	return nil, unsupported("pre_tokenizer %q", c.Type)
}

// patternSplitter knows the expressions that match every text, for which isolating
// matches and removing what is between them are the same.
func (c *componentJSON) patternSplitter() (splitter, error) {
	if c.Pattern.Regex == nil {
		return nil, unsupported("pre_tokenizer Split pattern that is not a Regex")
	}
	split, ok := splitters[*c.Pattern.Regex]
	if !ok {
		return nil, unsupported("pre_tokenizer Split regex %q", *c.Pattern.Regex)
	}
	isolates := c.Behavior == "Isolated" && !c.Invert || c.Behavior == "Removed" && c.Invert
	if !isolates {
		return nil, unsupported("pre_tokenizer Split behavior %q with invert %t", c.Behavior, c.Invert)
	}
	return split, nil
}

func readPostProcessor(f *fileJSON, s *spec) error {
	for _, c := range flatten(f.PostProcessor) {
		switch c.Type {
		case "ByteLevel": // moves offsets only
		case "TemplateProcessing":
			if err := c.readTemplate(s); err != nil {
				return err
			}
		default:
			return unsupported("post_processor %q", c.Type)
		}
	}
	return nil
}

// readTemplate reads tokens before the text, of which the first is BOS.
func (c *componentJSON) readTemplate(s *spec) error {
	text := false
	for _, part := range c.Single {
		switch {
		case part.Sequence != nil && !text:
			text = true
		case part.SpecialToken == nil || text:
			return unsupported("post_processor TemplateProcessing with more than tokens before one text")
		default:
			ids, ok := c.Special[part.SpecialToken.ID]
			if !ok || len(ids.IDs) == 0 {
				return malformed("post_processor TemplateProcessing: token %q is not in special_tokens", part.SpecialToken.ID)
			}
			s.prefix = append(s.prefix, ids.IDs...)
		}
	}
	if len(s.prefix) > 0 {
		s.bos = s.prefix[0]
	}
	return nil
}

func readDecoder(f *fileJSON, _ *spec) error {
	for _, c := range flatten(f.Decoder) {
		if c.Type != "ByteLevel" {
			return unsupported("decoder %q, only ByteLevel is", c.Type)
		}
	}
	return nil
}

// flatten is the stages of c in order, without the Sequences around them.
func flatten(c *componentJSON) []componentJSON {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []componentJSON{*c}
	}
	var all []componentJSON
	for _, list := range [][]componentJSON{c.Normalizers, c.PreTokenizers, c.Processors, c.Decoders} {
		for i := range list {
			all = append(all, flatten(&list[i])...)
		}
	}
	return all
}
