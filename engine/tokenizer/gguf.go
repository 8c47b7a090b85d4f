package tokenizer

// GGUF's token types (ggml, llama_token_type).
const (
	ggufNormal  = 1
	ggufUnknown = 2
	ggufControl = 3
	ggufUser    = 4
	ggufUnused  = 5
	ggufByte    = 6
)

// ggufPre is what a name under tokenizer.ggml.pre stands for.
type ggufPre struct {
	split []splitter
	nfc   bool // the model's own tokenizer normalises; llama.cpp does not
	whole bool
	bos   bool // BOS comes first where add_bos_token is absent
}

var ggufPres = map[string]ggufPre{
	"gpt-2":     {split: []splitter{splitGPT2}},
	"smollm":    {split: []splitter{splitDigit, splitGPT2}},
	"qwen2":     {split: []splitter{splitQwen2}, nfc: true},
	"llama-bpe": {split: []splitter{splitLlama3}, whole: true, bos: true},
	"llama3":    {split: []splitter{splitLlama3}, whole: true, bos: true},
	"llama-v3":  {split: []splitter{splitLlama3}, whole: true, bos: true},
	"default":   {split: []splitter{splitSigns, splitGPT2, splitNumbers, splitTriples}},
}

// FromGGUF reads the tokenizer.ggml.* metadata of a GGUF file that holds a byte-level
// BPE tokenizer: model gpt2, tokens, token_type, merges, pre, and where present
// bos_token_id, eos_token_id and add_bos_token. Values are Go's string, []string,
// []int32, uint32, bool and their like.
func FromGGUF(m map[string]any) (*Tokenizer, error) {
	f := ggufFields(m)
	if model := f.text("model", ""); model != "gpt2" {
		return nil, unsupported("tokenizer.ggml.model %q, only gpt2 is", model)
	}
	name := f.text("pre", "default")
	pre, ok := ggufPres[name]
	if !ok {
		return nil, unsupported("tokenizer.ggml.pre %q", name)
	}
	s := spec{split: pre.split, nfc: pre.nfc, whole: pre.whole, bos: f.id("bos_token_id"), eos: f.id("eos_token_id")}
	if err := f.readTokens(&s); err != nil {
		return nil, err
	}
	if err := f.readMerges(&s); err != nil {
		return nil, err
	}
	if s.bos != None && f.flag("add_bos_token", pre.bos) {
		s.prefix = []int32{s.bos}
	}
	return s.build()
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
	s.vocab = make(map[string]int32, len(tokens))
	for id, token := range tokens {
		if before, ok := s.vocab[token]; ok {
			return malformed("tokens %d and %d are both %q", before, id, token)
		}
		s.vocab[token] = int32(id)
		if types == nil {
			continue
		}
		switch types[id] {
		case ggufNormal, ggufUnused, ggufByte:
		case ggufControl, ggufUnknown, ggufUser:
			s.added = append(s.added, addedToken{ID: int32(id), Content: token, Special: types[id] != ggufUser})
		default:
			return malformed("tokenizer.ggml.token_type %d of token %d is outside 1 to 6", types[id], id)
		}
	}
	return nil
}

func (f ggufFields) readMerges(s *spec) error {
	lines, ok := f.get("merges").([]string)
	if !ok {
		return malformed("tokenizer.ggml.merges is missing")
	}
	s.merges = make([]merge, len(lines))
	for i, line := range lines {
		if err := s.merges[i].parse(line); err != nil {
			return err
		}
	}
	return nil
}
