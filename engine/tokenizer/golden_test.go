package tokenizer

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// golden is what testdata/golden.py wrote.
type golden struct {
	Source  string    `json:"source_sha256"`
	Special []uint32  `json:"special"`
	Plain   []uint32  `json:"plain"`
	Shown   [][]int32 `json:"shown"`
	Decoded uint32    `json:"decoded"`
	Skipped uint32    `json:"skipped"`
}

func unzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenStrings(t testing.TB) []string {
	t.Helper()
	var all []string
	if err := json.Unmarshal(unzip(t, "strings.json.gz"), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 10_000 {
		t.Fatalf("%d golden strings, want 10,000", len(all))
	}
	return all
}

// goldenNames are the tokenizers with goldens: four models', small ones that were
// trained to show every border between pieces, and one SentencePiece vocabulary in
// three files.
var goldenNames = []string{
	"smollm2", "small_llama", "small_qwen", "small_tekken", "qwen3", "llama3",
	"llama2", "pieces_legacy", "pieces_first", "pieces_split",
}

// definition is the definition of a golden tokenizer. The larger ones are not
// committed but read from NANOFLEET_<NAME>_TOKENIZER or .cache/<name>/tokenizer.json.
func definition(t testing.TB, name string) []byte {
	t.Helper()
	switch name {
	case "qwen3", "llama3", "llama2":
		return cached(t, name, "tokenizer.json")
	case "mistral_v3":
		return cached(t, name, "tokenizer.model")
	case "pieces":
		return unzip(t, "pieces.model.gz")
	}
	return unzip(t, name+".tokenizer.json.gz")
}

func cached(t testing.TB, name, file string) []byte {
	t.Helper()
	variable := "NANOFLEET_" + strings.ToUpper(name) + "_TOKENIZER"
	path := os.Getenv(variable)
	if path == "" {
		path = filepath.Join("..", "..", ".cache", name, file)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("no %s tokenizer: set %s or put it at .cache/%s/%s", name, variable, name, file)
	}
	return b
}

var smolLM2 = sync.OnceValues(func() (*Tokenizer, error) {
	f, err := os.Open("testdata/smollm2.tokenizer.json.gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	return FromJSON(b)
})

func smol(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := smolLM2()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func idsCRC(ids []int32) uint32 {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, ids)
	return crc32.ChecksumIEEE(b.Bytes())
}

// TestGolden compares ids and texts with those of Hugging Face's library.
func TestGolden(t *testing.T) {
	texts := goldenStrings(t)
	for _, name := range goldenNames {
		t.Run(name, func(t *testing.T) {
			raw := definition(t, name)
			var want golden
			if err := json.Unmarshal(unzip(t, name+".golden.json.gz"), &want); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(raw)
			if want.Source != "" && hex.EncodeToString(sum[:]) != want.Source {
				t.Fatalf("tokenizer.json has sha256 %x, the goldens were made from %s", sum, want.Source)
			}
			tok, err := FromJSON(raw)
			if err != nil {
				t.Fatal(err)
			}
			checkIDs(t, tok, texts, &want)
			if !rewrites(name) {
				checkTexts(t, tok, texts, &want)
			}
		})
	}
}

// TestPieces compares ids and texts of SentencePiece models with the library's, from
// tokenizer.model and from GGUF's form of it.
func TestPieces(t *testing.T) {
	texts := goldenStrings(t)
	for _, name := range []string{"pieces", "mistral_v3"} {
		for _, form := range []string{"model", "gguf"} {
			t.Run(name+"/"+form, func(t *testing.T) {
				raw := definition(t, name)
				var want golden
				if err := json.Unmarshal(unzip(t, name+".golden.json.gz"), &want); err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(raw)
				if want.Source != "" && hex.EncodeToString(sum[:]) != want.Source {
					t.Fatalf("tokenizer.model has sha256 %x, the goldens were made from %s", sum, want.Source)
				}
				tok := pieceTokenizer(t, raw, form)
				for i, text := range texts {
					ids := tok.Encode(text, EncodeOptions{})
					if idsCRC(ids) != want.Plain[i] {
						t.Errorf("string %d %+q: wrong ids %v", i, text, ids)
					}
					if i < len(want.Shown) && !slices.Equal(ids, want.Shown[i]) {
						t.Fatalf("string %d %q: ids %v, want %v", i, text, ids, want.Shown[i])
					}
				}
				all := make([]string, len(texts))
				for i, text := range texts {
					all[i] = tok.Decode(tok.Encode(text, EncodeOptions{}), DecodeOptions{})
				}
				if got := crc32.ChecksumIEEE([]byte(strings.Join(all, "\x00"))); got != want.Decoded {
					t.Errorf("decoded texts have CRC %08x, want %08x", got, want.Decoded)
				}
			})
		}
	}
}

// pieceTokenizer reads a tokenizer.model as it is or as GGUF metadata.
func pieceTokenizer(t testing.TB, raw []byte, form string) *Tokenizer {
	t.Helper()
	tok, err := FromSentencePiece(raw)
	if form == "gguf" {
		tok, err = FromGGUF(pieceGGUF(t, raw))
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pieceGGUF is what conversion makes of a tokenizer.model.
func pieceGGUF(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var tokens []string
	var scores []float32
	var types []int32
	err := eachField(raw, func(f protoField) error {
		if f.number != 1 {
			return nil
		}
		name, score, kind, err := readPiece(f.bytes)
		tokens, scores, types = append(tokens, string(name)), append(scores, score), append(types, kind)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default", "tokenizer.ggml.tokens": tokens,
		"tokenizer.ggml.scores": scores, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2),
	}
}

func checkIDs(t *testing.T, tok *Tokenizer, texts []string, want *golden) {
	t.Helper()
	wrong := 0
	for i, text := range texts {
		special := tok.Encode(text, EncodeOptions{ParseSpecial: true})
		plain := tok.Encode(text, EncodeOptions{})
		if i < len(want.Shown) && !slices.Equal(special, want.Shown[i]) {
			t.Errorf("string %d %q: ids %v, want %v", i, text, special, want.Shown[i])
		}
		if idsCRC(special) != want.Special[i] || idsCRC(plain) != want.Plain[i] {
			wrong++
			t.Errorf("string %d %+q: wrong ids %v (plain %v)", i, text, special, plain)
		}
		if wrong > 10 {
			t.Fatal("and more")
		}
	}
}

func checkTexts(t *testing.T, tok *Tokenizer, texts []string, want *golden) {
	t.Helper()
	join := func(o DecodeOptions) uint32 {
		all := make([]string, len(texts))
		for i, text := range texts {
			all[i] = tok.Decode(tok.Encode(text, EncodeOptions{ParseSpecial: true}), o)
		}
		return crc32.ChecksumIEEE([]byte(strings.Join(all, "\x00")))
	}
	if got := join(DecodeOptions{}); got != want.Decoded {
		t.Errorf("decoded texts have CRC %08x, want %08x", got, want.Decoded)
	}
	if got := join(DecodeOptions{SkipSpecial: true}); got != want.Skipped {
		t.Errorf("decoded texts without control tokens have CRC %08x, want %08x", got, want.Skipped)
	}
}

// encodable says whether every byte of text has a token.
func encodable(tok *Tokenizer, text string) bool {
	for i := range len(text) {
		if tok.byteIDs[text[i]] == None {
			return false
		}
	}
	return true
}

// rewrites says whether a tokenizer has added tokens that swallow spaces and that the
// reference decodes to something else than their text: those that are not ASCII, and
// normalised ones behind Prepend.
func rewrites(name string) bool { return name == "small_qwen" || name == "pieces_legacy" }

func TestRoundTrip(t *testing.T) {
	texts := goldenStrings(t)
	for _, name := range goldenNames {
		if rewrites(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			tok, err := FromJSON(definition(t, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				checkRoundTrip(t, tok, text)
			}
		})
	}
}

func checkRoundTrip(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	want := text
	if !tok.chars {
		want = normalise(tok.normalisers, text, true)
	} else if strings.Contains(text, metaspaceMark) || tok.metaspace != nil && strings.HasPrefix(text, " ") {
		return // marks are spaces, and a space at the head is its own prefix
	} else if tok.metaspace != nil {
		want = normalise(tok.normalisers, text, true)
	}
	if !encodable(tok, want) {
		return
	}
	for _, o := range []EncodeOptions{{}, {ParseSpecial: true}} {
		if got := tok.Decode(tok.Encode(text, o), DecodeOptions{}); got != want {
			t.Errorf("%+v: %+q decodes to %+q", o, text, got)
		}
	}
}

// TestMissingBytes: SmolLM2's vocabulary lacks 21 bytes, of which 13 are in no UTF-8
// text; a text without them loses nothing, one with them loses only them.
func TestMissingBytes(t *testing.T) {
	tok := smol(t)
	var missing []byte
	for b, id := range tok.byteIDs {
		if id == None {
			missing = append(missing, byte(b))
		}
	}
	want := []byte("\x04\x06\x13\x14\x16\x1d\xc0\xc1\xf1\xf2\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff")
	if !bytes.Equal(missing, want) {
		t.Errorf("missing bytes are % x, want % x", missing, want)
	}
	if got := tok.Decode(tok.Encode("a\x04b\x04", EncodeOptions{}), DecodeOptions{}); got != "ab" {
		t.Errorf("decoded %q, want ab", got)
	}
}

// TestStreamSplits feeds ids one at a time: each part is whole characters, and the
// parts joined are the decoded text.
func TestStreamSplits(t *testing.T) {
	tok := smol(t)
	for _, text := range goldenStrings(t) {
		ids := tok.Encode(text, EncodeOptions{ParseSpecial: true})
		checkStream(t, tok, ids)
	}
}

func checkStream(t *testing.T, tok *Tokenizer, ids []int32) {
	t.Helper()
	for _, skip := range []bool{false, true} {
		s := tok.NewStream(skip)
		var parts []string
		for _, id := range ids {
			parts = append(parts, s.Push(id))
		}
		parts = append(parts, s.Flush())
		for _, p := range parts {
			if !utf8.ValidString(p) {
				t.Errorf("part %+q of %v is not UTF-8", p, ids)
			}
		}
		if got, want := strings.Join(parts, ""), tok.Decode(ids, DecodeOptions{SkipSpecial: skip}); got != want {
			t.Errorf("stream of %v is %+q, decoded %+q", ids, got, want)
		}
	}
}
