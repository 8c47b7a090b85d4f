package tokenizer

// ggufPre is what a name under tokenizer.ggml.pre stands for.
type ggufPre struct {
	split []splitter
	nfc   bool // the model's own tokenizer normalises; llama.cpp does not
	whole bool
	bos   bool // BOS comes first where add_bos_token is absent
}

var (
	preGPT2   = ggufPre{split: []splitter{splitGPT2}}
	preLlama3 = ggufPre{split: []splitter{splitLlama3}, whole: true, bos: true}
	preQwen2  = ggufPre{split: []splitter{splitQwen2}, nfc: true}
)

var ggufPres = map[string]ggufPre{
	"gpt-2":            preGPT2,
	"smollm":           {split: []splitter{splitDigit, splitGPT2}},
	"qwen2":            preQwen2,
	"deepseek-r1-qwen": preQwen2,
	"llama-bpe":        preLlama3,
	"llama3":           preLlama3,
	"llama-v3":         preLlama3,
	"tekken":           {split: []splitter{splitTekken}, whole: true, bos: true},
	"default":          {split: []splitter{splitSigns, splitGPT2, splitNumbers, splitTriples}},
}

// FromGGUF reads the tokenizer.ggml.* metadata of a GGUF file: model gpt2 (byte-level
// BPE: tokens, token_type, merges, pre) or llama (SentencePiece BPE: tokens, scores,
// token_type, add_space_prefix), and where present bos_token_id, eos_token_id,
// add_bos_token and add_eos_token. Values are Go's string, []string, []int32,
// []float32, uint32, bool and their like.
func FromGGUF(m map[string]any) (*Tokenizer, error) {
	f := ggufFields(m)
	s := &spec{bos: f.id("bos_token_id"), eos: f.id("eos_token_id")}
	var err error
	switch model := f.text("model", ""); model {
	case "gpt2":
		err = f.readBytes(s)
	case "llama":
		err = f.readPieces(s)
	default:
		err = unsupported("tokenizer.ggml.model %q, only gpt2 and llama are", model)
	}
	if err != nil {
		return nil, err
	}
	return s.build()
}

// readBytes reads a byte-level vocabulary.
func (f ggufFields) readBytes(s *spec) error {
	name := f.text("pre", "default")
	pre, ok := ggufPres[name]
	if !ok {
		return unsupported("tokenizer.ggml.pre %q", name)
	}
	s.split, s.whole = pre.split, pre.whole
	if pre.nfc {
		s.normalisers = []normaliser{normaliseNFC}
	}
	if err := f.readTokens(s); err != nil {
		return err
	}
	lines, ok := f.get("merges").([]string)
	if !ok {
		return malformed("tokenizer.ggml.merges is missing")
	}
	s.mergeLines(lines)
	return f.readEnds(s, pre.bos)
}

// readPieces reads a SentencePiece vocabulary. GGUF has no word for a prefix that only
// a whole text gets: as llama.cpp does, every section between control tokens gets it.
func (f ggufFields) readPieces(s *spec) error {
	if pre := f.text("pre", "default"); pre != "default" {
		return unsupported("tokenizer.ggml.pre %q with model llama", pre)
	}
	if f.flag("remove_extra_whitespaces", false) {
		return unsupported("tokenizer.ggml.remove_extra_whitespaces, only false is")
	}
	if f.get("precompiled_charsmap") != nil {
		return unsupported("tokenizer.ggml.precompiled_charsmap with model llama")
	}
	if err := f.readTokens(s); err != nil {
		return err
	}
	scores, _ := f.get("scores").([]float32)
	if len(scores) != s.vocab.len() {
		return malformed("tokenizer.ggml.scores has %d values for %d tokens", len(scores), s.vocab.len())
	}
	s.sentencePiece(f.flag("add_space_prefix", true))
	if s.bos == None {
		s.bos = 1 // what llama.cpp takes
	}
	if s.eos == None {
		s.eos = 2
	}
	if err := f.readEnds(s, true); err != nil {
		return err
	}
	return s.mergeScores(scores)
}

// readEnds reads what comes before and after a text.
func (f ggufFields) readEnds(s *spec, bos bool) error {
	if s.bos != None && f.flag("add_bos_token", bos) {
		s.prefix = []int32{s.bos}
	}
	if s.eos != None && f.flag("add_eos_token", false) {
		s.suffix = []int32{s.eos}
	}
	return nil
}

// ggufFields reads tokenizer.ggml.* with a default for what is absent.
type ggufFields map[string]any

func (f ggufFields) get(key string) any { return f["tokenizer.ggml."+key] }

func (f ggufFields) text(key, absent string) string {
	if s, ok := f.get(key).(string); ok {
		return s
	}
	return absent
}

func (f ggufFields) flag(key string, absent bool) bool {
	if b, ok := f.get(key).(bool); ok {
		return b
	}
	return absent
}

// id is a token id, None where absent; one beyond the bound stays beyond it.
func (f ggufFields) id(key string) int32 {
	var id uint64
	switch v := f.get(key).(type) {
	case uint32:
		id = uint64(v)
	case uint64:
		id = v
	case int32:
		id = uint64(uint32(v))
	default:
		return None
	}
	return int32(min(id, maxID+1))
}

// readTokens sorts tokens into the vocabulary and the added ones.
func (f ggufFields) readTokens(s *spec) error {
	tokens, _ := f.get("tokens").([]string)
	if len(tokens) == 0 || len(tokens) > maxID+1 {
		return malformed("tokenizer.ggml.tokens has %d strings, outside 1 to %d", len(tokens), maxID+1)
	}
	types, _ := f.get("token_type").([]int32)
	if types != nil && len(types) != len(tokens) {
		return malformed("tokenizer.ggml.token_type has %d values for %d tokens", len(types), len(tokens))
	}
	bytes := 0
	for _, token := range tokens {
		bytes += len(token)
	}
	s.vocab = newVocabulary(len(tokens), bytes)
	for id, token := range tokens {
		kind := int32(pieceNormal)
		if types != nil {
			kind = types[id]
		}
		if err := s.addPiece([]byte(token), kind); err != nil {
			return err
		}
	}
	return nil
}
