package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

const shapeText = `{"architectures":["Qwen3ForCausalLM"],"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
	"num_key_value_heads":2,"head_dim":16,"vocab_size":256,"max_position_embeddings":512,"tie_word_embeddings":false`

func TestFromShape(t *testing.T) {
	m, err := model.FromShape([]byte(shapeText + "}"))
	if err != nil {
		t.Fatal(err)
	}
	const layer = 64*(64+32+32) + 64*64 + 3*64*96 + 2*16 + 2*64
	if m.Params != 2*layer+2*256*64+64 || m.Context != 512 || m.Arch != "Qwen3ForCausalLM" || m.Quantisation() != "bf16" || m.Tokenizer.VocabSize() > 256 {
		t.Errorf("%d parameters, context %d, %s, %s", m.Params, m.Context, m.Arch, m.Quantisation())
	}
	if _, err := model.Footprint(m, abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 1, MaxPositions: 1, Pages: 1}, "cpu"); err != nil {
		t.Error(err)
	}
	for text, say := range map[string]string{
		`[`:                             "config.json",
		`{"architectures":["Mystery"]}`: "Mystery",
		shapeText + `,"hidden_size":0}`: "hidden_size",
		shapeText + `,"quantization_config":{"quant_method":"fp8"}}`: "quantization_config",
	} {
		_, err := model.FromShape([]byte(text))
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", text, err, say)
		}
		var config *model.ConfigError
		if strings.Contains(say, "_") && !errors.As(err, &config) {
			t.Errorf("%s: %T", text, err)
		}
	}
}
