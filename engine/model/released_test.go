package model

import "testing"

// TestReleasedModels has the configurations of released models, with the keys they
// really carry, give the number of parameters their makers publish.
func TestReleasedModels(t *testing.T) {
	for _, c := range []struct {
		name, arch, text string
		params           uint64
		context          uint32
	}{
		{"Llama 2 7B", "LlamaForCausalLM", `{"hidden_act":"silu","hidden_size":4096,"initializer_range":0.02,"intermediate_size":11008,
			"max_position_embeddings":4096,"model_type":"llama","num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":32,
			"pretraining_tp":1,"rms_norm_eps":1e-05,"rope_scaling":null,"tie_word_embeddings":false,"torch_dtype":"float16","use_cache":true,
			"vocab_size":32000}`, 6738415616, 4096},
		{"Llama 3.1 8B", "LlamaForCausalLM", `{"attention_bias":false,"attention_dropout":0.0,"eos_token_id":[128001,128008,128009],
			"hidden_act":"silu","hidden_size":4096,"intermediate_size":14336,"max_position_embeddings":131072,"mlp_bias":false,
			"num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":8,"pretraining_tp":1,"rms_norm_eps":1e-05,
			"rope_scaling":{"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192,"rope_type":"llama3"},
			"rope_theta":500000.0,"tie_word_embeddings":false,"vocab_size":128256}`, 8030261248, 131072},
		{"Llama 3.2 1B", "LlamaForCausalLM", `{"attention_bias":false,"head_dim":64,"hidden_act":"silu","hidden_size":2048,
			"intermediate_size":8192,"max_position_embeddings":131072,"mlp_bias":false,"num_attention_heads":32,"num_hidden_layers":16,
			"num_key_value_heads":8,"rms_norm_eps":1e-05,"rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,
			"original_max_position_embeddings":8192,"rope_type":"llama3"},"rope_theta":500000.0,"tie_word_embeddings":true,"vocab_size":128256}`,
			1235814400, 131072},
		{"SmolLM2 135M", "LlamaForCausalLM", `{"hidden_act":"silu","hidden_size":576,"intermediate_size":1536,"is_llama_config":true,
			"max_position_embeddings":8192,"num_attention_heads":9,"num_hidden_layers":30,"num_key_value_heads":3,"rms_norm_eps":1e-05,
			"rope_interleaved":false,"rope_scaling":null,"rope_theta":100000,"tie_word_embeddings":true,"vocab_size":49152}`, 134515008, 8192},
		{"Mistral 7B v0.1", "MistralForCausalLM", `{"hidden_act":"silu","hidden_size":4096,"intermediate_size":14336,
			"max_position_embeddings":32768,"num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":8,"rms_norm_eps":1e-05,
			"rope_theta":10000.0,"sliding_window":4096,"tie_word_embeddings":false,"vocab_size":32000}`, 7241732096, 32768},
		{"Mistral Nemo", "MistralForCausalLM", `{"attention_dropout":0.0,"head_dim":128,"hidden_act":"silu","hidden_size":5120,
			"intermediate_size":14336,"max_position_embeddings":131072,"num_attention_heads":32,"num_hidden_layers":40,"num_key_value_heads":8,
			"rms_norm_eps":1e-05,"rope_theta":1000000.0,"sliding_window":null,"tie_word_embeddings":false,"vocab_size":131072}`, 12247782400, 131072},
		{"Qwen2.5 0.5B", "Qwen2ForCausalLM", `{"attention_dropout":0.0,"hidden_act":"silu","hidden_size":896,"intermediate_size":4864,
			"max_position_embeddings":32768,"max_window_layers":24,"num_attention_heads":14,"num_hidden_layers":24,"num_key_value_heads":2,
			"rms_norm_eps":1e-06,"rope_theta":1000000.0,"sliding_window":32768,"tie_word_embeddings":true,"use_mrope":false,
			"use_sliding_window":false,"vocab_size":151936}`, 494032768, 32768},
		{"Qwen2.5 7B with yarn", "Qwen2ForCausalLM", `{"attention_dropout":0.0,"hidden_act":"silu","hidden_size":3584,
			"intermediate_size":18944,"max_position_embeddings":32768,"max_window_layers":28,"num_attention_heads":28,"num_hidden_layers":28,
			"num_key_value_heads":4,"rms_norm_eps":1e-06,"rope_theta":1000000.0,"sliding_window":131072,"tie_word_embeddings":false,
			"use_sliding_window":false,"vocab_size":152064,
			"rope_scaling":{"factor":4.0,"original_max_position_embeddings":32768,"type":"yarn"}}`, 7615616512, 131072},
		{"Qwen3 0.6B", "Qwen3ForCausalLM", `{"attention_bias":false,"head_dim":128,"hidden_act":"silu","hidden_size":1024,
			"intermediate_size":3072,"max_position_embeddings":40960,"max_window_layers":28,"num_attention_heads":16,"num_hidden_layers":28,
			"num_key_value_heads":8,"rms_norm_eps":1e-06,"rope_scaling":null,"rope_theta":1000000,"sliding_window":null,
			"tie_word_embeddings":true,"use_sliding_window":false,"vocab_size":151936}`, 596049920, 40960},
		{"Qwen3 8B", "Qwen3ForCausalLM", `{"attention_bias":false,"head_dim":128,"hidden_act":"silu","hidden_size":4096,
			"intermediate_size":12288,"max_position_embeddings":40960,"max_window_layers":36,"num_attention_heads":32,"num_hidden_layers":36,
			"num_key_value_heads":8,"rms_norm_eps":1e-06,"rope_scaling":null,"rope_theta":1000000,"sliding_window":null,
			"tie_word_embeddings":false,"use_sliding_window":false,"vocab_size":151936}`, 8190735360, 40960},
	} {
		d, err := fromText(t, c.arch, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		params := uint64(0)
		for _, p := range d.parts {
			params += uint64(p.rows) * uint64(p.cols)
		}
		if params != c.params || d.config.Context != c.context {
			t.Errorf("%s: %d parameters, context %d; want %d and %d", c.name, params, d.config.Context, c.params, c.context)
		}
	}
}
