package model

import (
	"encoding/json"
	"fmt"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// FromShape describes a model that has a configuration and nothing else, for backends
// that make its weights themselves (abi.Synth): text is that of a config.json. Weights are
// bfloat16, and the tokenizer knows single bytes.
func FromShape(text []byte) (*Meta, error) {
	c := &jsonConfig{}
	if err := json.Unmarshal(text, &c.values); err != nil {
		return nil, inFile(configName, err)
	}
	arch, err := c.architecture()
	if err != nil {
		return nil, err
	}
	d, err := fromJSON[arch](c)
	if err != nil {
		return nil, err
	}
	if d.scheme != nil {
		return nil, &ConfigError{configName, quantKey, c.values[quantKey], "must be absent: a shape's weights are random bfloat16, quantise them with --quant"}
	}
	m := &Meta{Format: "shape", Arch: arch, Name: "shape", Config: d.config, Plan: d.plan, Context: d.config.Context, BOS: tokenizer.None}
	for _, p := range d.parts {
		m.Weights = append(m.Weights, Weight{Name: p.name, Part: p.part, Source: p.source, Rows: p.rows, Cols: p.cols, DType: abi.BF16})
		m.Params += uint64(p.rows) * uint64(p.cols)
	}
	m.Tokenizer, err = byteTokenizer()
	return m, err
}

// byteTokenizer has a token for each printable byte, the least that a tokenizer can be.
func byteTokenizer() (*tokenizer.Tokenizer, error) {
	vocab := map[string]int{}
	for b := '!'; b <= '~'; b++ {
		vocab[string(b)] = len(vocab)
	}
	text, err := json.Marshal(map[string]any{
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": []string{}},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"decoder":       map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
	})
	if err != nil {
		return nil, fmt.Errorf("model: tokenizer of a shape: %w", err)
	}
	return tokenizer.FromJSON(text)
}
