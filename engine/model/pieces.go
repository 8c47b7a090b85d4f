package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// piecesName is SentencePiece's own file, which old repositories have alone.
const piecesName = "tokenizer.model"

// readTokenizer reads tokenizer.json or, where there is none, tokenizer.model.
func readTokenizer(dir string) (*tokenizer.Tokenizer, error) {
	text, err := readText(dir, tokenizerName, maxTokenizer)
	if errors.Is(err, fs.ErrNotExist) {
		return readPieces(dir, err)
	}
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.FromJSON(text)
	return t, inFile(tokenizerName, err)
}

// readPieces reads tokenizer.model; missing is the error that tokenizer.json gave.
func readPieces(dir string, missing error) (*tokenizer.Tokenizer, error) {
	raw, err := weights.ReadSmall(filepath.Join(dir, piecesName), maxTokenizer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.FromSentencePiece(raw)
	if err != nil {
		return nil, inFile(piecesName, err)
	}
	return t, checkPieces(dir, t)
}

// checkPieces refuses what the files beside tokenizer.model would change in it: only a
// tokenizer.json says that.
func checkPieces(dir string, t *tokenizer.Tokenizer) error {
	const advice = "save the tokenizer with transformers, which writes tokenizer.json"
	if _, err := readText(dir, "added_tokens.json", maxTokenizer); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("added_tokens.json beside %s alone is not supported: %s", piecesName, advice))
	}
	values, err := readObject(dir, tokenizerConfigName, maxTokenizerConfig)
	if err := optional(err); err != nil {
		return err
	}
	if legacy := string(values["legacy"]); legacy == "false" {
		return &ConfigError{tokenizerConfigName, "legacy", false, "must be true where only " + piecesName + " is: " + advice}
	}
	var added map[string]struct{ Content string }
	if raw, ok := values["added_tokens_decoder"]; ok {
		if err := json.Unmarshal(raw, &added); err != nil {
			return inFile(tokenizerConfigName+": added_tokens_decoder", err)
		}
	}
	for _, a := range added {
		if _, ok := t.TokenID(a.Content); !ok {
			return &ConfigError{tokenizerConfigName, "added_tokens_decoder", a.Content, "must be a token of " + piecesName + ": " + advice}
		}
	}
	return nil
}
