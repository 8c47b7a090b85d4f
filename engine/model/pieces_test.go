package model

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPieces reads a directory that has tokenizer.model alone, and refuses one whose
// other files would change it.
func TestPieces(t *testing.T) {
	f, err := os.Open("../tokenizer/testdata/pieces.model.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string // a file beside tokenizer.model
		says       string // "": accepted
	}{
		{"README", "", ""},
		{"tokenizer_config.json", `{"legacy":true,"added_tokens_decoder":{"1":{"content":"<s>"}}}`, ""},
		{"tokenizer_config.json", `{"legacy":false}`, "legacy"},
		{"tokenizer_config.json", `{"added_tokens_decoder":{"32000":{"content":"<|im_end|>"}}}`, "added_tokens_decoder"},
		{"tokenizer_config.json", `{"added_tokens_decoder":7}`, "added_tokens_decoder"},
		{"added_tokens.json", `{"<|im_end|>":32000}`, "added_tokens.json beside tokenizer.model"},
		{"tokenizer.model", "\x0a\xff", "tokenizer.model: malformed"},
		{"tokenizer.json", "{}", "tokenizer.json: malformed"},
	} {
		dir := t.TempDir()
		files := map[string][]byte{"tokenizer.model": pieces}
		files[c.name] = []byte(c.text)
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := readTokenizer(dir)
		if c.says == "" {
			if err != nil || tok.BOS() != 1 || tok.EOS() != 2 {
				t.Errorf("%s %s: %v", c.name, c.text, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: error %v, want one that says %q", c.name, c.text, err, c.says)
		}
	}
	if _, err := readTokenizer(t.TempDir()); err == nil || !strings.Contains(err.Error(), tokenizerName) {
		t.Errorf("an empty directory: error %v", err)
	}
}
