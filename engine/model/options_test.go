package model

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// every architecture; the verdicts of an option are the same for all unless it says so.
var every = []string{"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}

// Verdicts on an option.
const (
	honoured = "honoured" // it changes the design
	harmless = "harmless" // it does not, nor the mathematics in transformers
	refused  = "refused"  // by its name
)

// TestEveryOption names each option of config.json that transformers reads for these
// architectures, or that files of them have been seen with, and what becomes of it.
func TestEveryOption(t *testing.T) {
	qwen, rest := every[2:], every[:2]
	window := `"use_sliding_window":true,"sliding_window":64,"max_window_layers":2,`
	for _, c := range []struct {
		extra, key, verdict string
		arches              []string
	}{
		// Shape.
		{`"vocab_size":101`, "", honoured, every},
		{`"hidden_size":32`, "", honoured, every},
		{`"intermediate_size":32`, "", honoured, every},
		{`"num_hidden_layers":3`, "", honoured, every},
		{`"num_attention_heads":8`, "", honoured, every},
		{`"num_key_value_heads":4`, "", honoured, every},
		{`"head_dim":8`, "", honoured, every},
		{`"max_position_embeddings":2048`, "", honoured, every},
		{`"rms_norm_eps":0.001`, "", honoured, every},
		{`"tie_word_embeddings":true`, "", honoured, every},
		// Attention.
		{`"attention_bias":true`, "", honoured, []string{every[0], every[3]}},
		{`"attention_bias":true`, "attention_bias", refused, []string{every[1]}},
		{`"attention_bias":true`, "", harmless, []string{every[2]}}, // Qwen2 always has q, k and v biases, and reads no such key
		{`"mlp_bias":true`, "", honoured, []string{every[0]}},
		{`"mlp_bias":true`, "mlp_bias", refused, every[1:]},
		{`"attention_dropout":0.5`, "", harmless, every}, // of training
		{`"sliding_window":64`, "sliding_window", refused, []string{every[0]}},
		{`"sliding_window":64`, "", honoured, []string{every[1]}},
		{`"sliding_window":64`, "", harmless, qwen}, // not without use_sliding_window
		{window + `"x":0`, "", honoured, qwen},
		{window + `"layer_types":["full_attention","full_attention","full_attention","full_attention"]`, "", harmless, qwen},
		{window + `"layer_types":["full_attention","sliding_attention","full_attention","full_attention"]`, "", honoured, qwen},
		{`"layer_types":["full_attention","full_attention","full_attention","full_attention"]`, "layer_types", refused, rest},
		{`"layer_types":["chunked_attention","full_attention","full_attention","full_attention"]`, "layer_types[0]", refused, qwen},
		{`"use_sliding_window":false,"max_window_layers":0`, "", harmless, qwen},
		{`"pretraining_tp":2`, "", harmless, every}, // the same sums in slices
		{`"attn_implementation":"eager"`, "", harmless, every},
		{`"is_causal":false`, "is_causal", refused, every},
		{`"use_bidirectional_attention":true`, "use_bidirectional_attention", refused, every},
		{`"attention_chunk_size":8192`, "attention_chunk_size", refused, every},
		{`"attn_logit_softcapping":50.0`, "attn_logit_softcapping", refused, every},
		{`"query_pre_attn_scalar":256`, "query_pre_attn_scalar", refused, every},
		{`"attention_multiplier":0.1`, "attention_multiplier", refused, every},
		{`"attn_temperature_tuning":true`, "attn_temperature_tuning", refused, every},
		{`"clip_qkv":8`, "clip_qkv", refused, every},
		{`"use_logn_attn":true`, "use_logn_attn", refused, every},
		{`"qk_layernorm":true`, "qk_layernorm", refused, every},
		{`"use_qk_norm":true`, "use_qk_norm", refused, every},
		{`"kv_lora_rank":512`, "kv_lora_rank", refused, every},
		{`"pruned_heads":{"0":[1]}`, "pruned_heads", refused, every},
		{`"pruned_heads":{}`, "", harmless, every},
		{`"dual_chunk_attention_config":{"chunk_size":64}`, "dual_chunk_attention_config", refused, every},
		// Positions.
		{`"rope_theta":5000`, "", honoured, every},
		{`"partial_rotary_factor":0.5`, "partial_rotary_factor", refused, every},
		{`"rotary_pct":0.25`, "rotary_pct", refused, every},
		{`"rotary_dim":8`, "rotary_dim", refused, every},
		{`"rope_ratio":2`, "rope_ratio", refused, every},
		{`"use_dynamic_ntk":true`, "use_dynamic_ntk", refused, every},
		{`"rope_interleaved":true`, "rope_interleaved", refused, every},
		{`"no_rope_layers":[0,1]`, "no_rope_layers", refused, every},
		{`"no_rope_layers":[]`, "", harmless, every},
		{`"rope_local_base_freq":10000`, "rope_local_base_freq", refused, every},
		{`"alibi":true`, "alibi", refused, every},
		{`"position_embedding_type":"alibi"`, "position_embedding_type", refused, every},
		{`"original_max_position_embeddings":4096`, "original_max_position_embeddings", refused, every},
		{`"rope_scaling":{"rope_type":"default"}`, "", harmless, every},
		{`"rope_scaling":{"type":"linear","factor":2}`, "", honoured, every},
		{`"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":256}`, "", honoured, every},
		{`"rope_scaling":{"rope_type":"yarn","factor":4}`, "", honoured, every},
		{`"rope_scaling":{"rope_type":"yarn","factor":4,"mscale":1,"mscale_all_dim":0.5,"truncate":false,"beta_fast":16,"beta_slow":2,"attention_factor":1.5}`, "", honoured, every},
		{`"rope_scaling":{"rope_type":"yarn","factor":4,"extrapolation_factor":0.5}`, "rope_scaling.extrapolation_factor", refused, every},
		{`"rope_scaling":{"rope_type":"dynamic","factor":2}`, "rope_scaling.rope_type", refused, every},
		{`"rope_scaling":{"rope_type":"longrope","short_factor":[1],"long_factor":[1]}`, "rope_scaling.rope_type", refused, every},
		{`"rope_scaling":{"type":"su"}`, "rope_scaling.type", refused, every},
		{`"rope_scaling":{"type":"mrope","mrope_section":[1,2,3]}`, "rope_scaling.type", refused, every},
		{`"rope_scaling":{"type":"ntk","factor":2}`, "rope_scaling.type", refused, every},
		{`"rope_parameters":{"rope_theta":5000,"rope_type":"default"}`, "", honoured, every},
		{`"rope_parameters":{"rope_type":"proportional","factor":2}`, "rope_parameters.rope_type", refused, every},
		// The rest of a layer, and the head.
		{`"hidden_act":"gelu"`, "hidden_act", refused, every},
		{`"hidden_activation":"gelu_pytorch_tanh"`, "hidden_activation", refused, every},
		{`"norm_type":"layer_norm"`, "norm_type", refused, every},
		{`"use_parallel_residual":true`, "use_parallel_residual", refused, every},
		{`"num_experts":8`, "num_experts", refused, every},
		{`"num_local_experts":8`, "num_local_experts", refused, every},
		{`"moe_intermediate_size":64`, "moe_intermediate_size", refused, every},
		{`"residual_multiplier":0.22`, "residual_multiplier", refused, every},
		{`"embedding_multiplier":12`, "embedding_multiplier", refused, every},
		{`"scale_emb":12`, "scale_emb", refused, every},
		{`"logit_scale":0.0625`, "logit_scale", refused, every},
		{`"logits_scaling":8`, "logits_scaling", refused, every},
		{`"final_logit_softcapping":30`, "final_logit_softcapping", refused, every},
		{`"is_encoder_decoder":true`, "is_encoder_decoder", refused, every},
		{`"add_cross_attention":true`, "add_cross_attention", refused, every},
		// How the weights are stored, and code beside them.
		{`"quantization_config":{"quant_method":"gptq","bits":4}`, "quantization_config.quant_method", refused, every},
		{`"quantization_config":{"quant_method":"awq","bits":4}`, "quantization_config.quant_method", refused, every},
		{`"quantization_config":{"quant_method":"bitsandbytes","load_in_4bit":true}`, "quantization_config.quant_method", refused, every},
		{`"quantization_config":{"quant_method":"fp8"}`, "", harmless, every}, // to the design: it says how weights lie in the file
		{`"quantization_config":{}`, "quantization_config.quant_method", refused, every},
		{`"quantization_config":"fp8"`, "quantization_config", refused, every},
		{`"compression_config":{"format":"dense"}`, "compression_config", refused, every},
		{`"auto_map":{"AutoModelForCausalLM":"modeling_custom.CustomForCausalLM"}`, "auto_map", refused, every},
		{`"auto_map":{}`, "", harmless, every},
		// What says nothing about the mathematics.
		{`"torch_dtype":"float16","dtype":"bfloat16","transformers_version":"4.51.0","_name_or_path":"x"`, "", harmless, every},
		{`"use_cache":false,"initializer_range":0.5,"output_attentions":true,"return_dict":false`, "", harmless, every},
		{`"bos_token_id":1,"eos_token_id":[2,3],"pad_token_id":0,"model_type":"llama"`, "", harmless, every},
	} {
		for _, arch := range c.arches {
			plain, err := fromText(t, arch, familyText+"}")
			if err != nil {
				t.Fatal(err)
			}
			d, err := fromText(t, arch, familyText+","+c.extra+"}")
			var bad *ConfigError
			switch {
			case c.verdict == refused:
				if !errors.As(err, &bad) || bad.Key != c.key || !strings.Contains(err.Error(), c.key) {
					t.Errorf("%s: %s: got %v, want %s refused", arch, c.extra, err, c.key)
				}
			case err != nil:
				t.Errorf("%s: %s: %v, want %s", arch, c.extra, err, c.verdict)
			case (c.verdict == harmless) != reflect.DeepEqual(d.config, plain.config):
				t.Errorf("%s: %s is not %s: %+v", arch, c.extra, c.verdict, d.config)
			}
		}
	}
}

// TestEveryGGUFOption is the same for the metadata of GGUF files.
func TestEveryGGUFOption(t *testing.T) {
	all := []string{"llama", "qwen2", "qwen3"}
	for _, c := range []struct {
		key     string
		value   any
		verdict string
		arches  []string
	}{
		{"block_count", uint32(3), honoured, all},
		{"context_length", uint32(2048), honoured, all},
		{"embedding_length", uint32(96), honoured, all},
		{"feed_forward_length", uint32(64), honoured, all},
		{"feed_forward_length", []int32{96, 64}, refused, all},
		{"attention.head_count", uint32(8), honoured, all},
		{"attention.head_count_kv", uint32(4), honoured, all},
		{"attention.head_count_kv", []int32{2, 4}, refused, all},
		{"attention.value_length", uint32(16), refused, all},
		{"attention.layer_norm_rms_epsilon", float32(1e-5), honoured, all},
		{"attention.layer_norm_epsilon", float32(1e-5), refused, all},
		{"attention.sliding_window", uint32(64), honoured, all[:1]},
		{"attention.sliding_window", uint32(64), refused, all[1:]},
		{"attention.sliding_window_pattern", uint32(2), refused, all},
		{"attention.causal", false, refused, all},
		{"attention.clamp_kqv", float32(8), refused, all},
		{"attention.max_alibi_bias", float32(8), refused, all},
		{"attention.scale", float32(0.1), refused, all},
		{"attn_logit_softcapping", float32(50), refused, all},
		{"final_logit_softcapping", float32(30), refused, all},
		{"logit_scale", float32(0.1), refused, all},
		{"embedding_scale", float32(12), refused, all},
		{"residual_scale", float32(0.2), refused, all},
		{"expert_count", uint32(8), refused, all},
		{"expert_count", uint32(0), harmless, all},
		{"expert_used_count", uint32(2), refused, all},
		{"leading_dense_block_count", uint32(1), refused, all},
		{"use_parallel_residual", true, refused, all},
		{"pooling_type", uint32(0), harmless, all},
		{"pooling_type", uint32(1), honoured, all},
		{"pooling_type", uint32(2), refused, all},
		{"pooling_type", uint32(3), honoured, all},
		{"pooling_type", uint32(4), refused, all},
		{"pooling_type", uint32(5), refused, all},
		{"pooling_type", int32(-1), refused, all},
		{"rope.freq_base", float32(5000), honoured, all},
		{"rope.dimension_count", uint32(16), refused, all},
		{"rope.dimension_count", uint32(32), harmless, all},
		{"rope.dimension_sections", []int32{1, 2, 3, 0}, refused, all},
		{"rope.scale_linear", float32(2), refused, all},
		{"rope.scaling.factor", float32(2), honoured, all},
		{"rope.scaling.type", "none", harmless, all},
		{"rope.scaling.type", "longrope", refused, all},
		{"rope.scaling.attn_factor", float32(2), refused, all},
		{"rope.scaling.yarn_log_multiplier", float32(0.1), refused, all},
		{"vocab_size", uint32(101), honoured, all},
		{"tensor_data_layout", "Meta AI original pth", refused, all},
	} {
		for _, arch := range c.arches {
			plain, err := fromGGUF[arch](qwenGGUF(arch, nil))
			if err != nil {
				t.Fatal(err)
			}
			d, err := fromGGUF[arch](qwenGGUF(arch, map[string]any{c.key: c.value}))
			switch {
			case c.verdict == refused:
				if err == nil || !strings.Contains(err.Error(), c.key) {
					t.Errorf("%s: %s = %v: got %v, want it refused by name", arch, c.key, c.value, err)
				}
			case err != nil:
				t.Errorf("%s: %s = %v: %v, want %s", arch, c.key, c.value, err, c.verdict)
			case (c.verdict == harmless) != reflect.DeepEqual(d.config, plain.config):
				t.Errorf("%s: %s = %v is not %s: %+v", arch, c.key, c.value, c.verdict, d.config)
			}
		}
	}
}
