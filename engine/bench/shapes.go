package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shapes are config.json of released models, without what says nothing about their shape,
// and of a small one for tests. What they were made for is cut to 8,192 tokens: page
// tables are sized by it.
var shapes = map[string]string{
	"tiny":       qwen3(64, 96, 2, 4, 2, 16, 512, true),
	"qwen3-0.6b": qwen3(1024, 3072, 28, 16, 8, 128, 151936, true),
	"qwen3-8b":   qwen3(4096, 12288, 36, 32, 8, 128, 151936, false),
	"qwen3-32b":  qwen3(5120, 25600, 64, 64, 8, 128, 151936, false),
}

func qwen3(hidden, ffn, layers, heads, kvHeads, headDim, vocab int, tied bool) string {
	return fmt.Sprintf(`{"architectures":["Qwen3ForCausalLM"],"hidden_size":%d,"intermediate_size":%d,"num_hidden_layers":%d,"num_attention_heads":%d,
		"num_key_value_heads":%d,"head_dim":%d,"vocab_size":%d,"tie_word_embeddings":%t,"max_position_embeddings":8192,"rms_norm_eps":1e-6,"rope_theta":1000000}`,
		hidden, ffn, layers, heads, kvHeads, headDim, vocab, tied)
}

// Shape is the text of a config.json by the name of its shape.
func Shape(name string) (text []byte, ok bool) {
	s, ok := shapes[name]
	return []byte(s), ok
}

// ShapeNames lists them.
func ShapeNames() string { return strings.Join(slices.Sorted(maps.Keys(shapes)), ", ") }
