package hostile

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// edited is a JSON object of the tiny model with some keys given other values.
func edited(t *testing.T, name string, values map[string]string) []byte {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(tinyFile(t, name), &object); err != nil {
		t.Fatal(err)
	}
	for key, value := range values {
		if value == "" {
			delete(object, key)
			continue
		}
		object[key] = json.RawMessage(value)
	}
	b, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const configName = "config.json"

// brokenJSON are texts that are no JSON, or not the same JSON to every reader.
var brokenJSON = map[string]error{
	``: weights.ErrSyntax, `{`: weights.ErrSyntax, `{"a":1,}`: weights.ErrSyntax, `{'a':1}`: weights.ErrSyntax, `{"a":NaN}`: weights.ErrSyntax, `{"a":Infinity}`: weights.ErrSyntax,
	`{"a":1} {"a":2}`: weights.ErrSyntax, "{\"a\":\"\xff\"}": weights.ErrSyntax, "\xef\xbb\xbf{}": weights.ErrSyntax, `{"a":"\ud83d"}`: weights.ErrSyntax, `{"a":01}`: weights.ErrSyntax,
	"{\"a\":\"\x01\"}": weights.ErrSyntax, `{"a":1/*x*/}`: weights.ErrSyntax, `{"a":1,"a":2}`: weights.ErrDuplicate, `{"b":{"a":1,"\u0061":2}}`: weights.ErrDuplicate,
	`{"a":` + strings.Repeat("[", 100000): weights.ErrSyntax, `{"a":` + strings.Repeat(`{"a":`, 50000): weights.ErrSyntax, "\x00": weights.ErrSyntax, "---\na: 1\n": weights.ErrSyntax,
}

// configFiles has configurations that no engine may compute with.
func configFiles(t *testing.T) (files []file) {
	add := func(name string, text []byte, kind kind, say ...string) {
		files = append(files, file{name, tinyWith(map[string][]byte{configName: text}), kind, append([]string{configName}, say...)})
	}
	set := func(key, value string, kind kind, say ...string) {
		if say == nil {
			say = []string{key}
		}
		add(fmt.Sprintf("%s = %.40s", key, value), edited(t, configName, map[string]string{key: value}), kind, say...)
	}
	for text, kind := range brokenJSON {
		add(fmt.Sprintf("%.30q of %d", text, len(text)), []byte(text), is(kind))
	}
	for _, text := range []string{`null`, `[]`, `7`, `"x"`} {
		add(text, []byte(text), func(error) bool { return true })
	}
	add("2 MiB", []byte(`{"a":"`+strings.Repeat("x", 2<<20)+`"}`), is(weights.ErrCount), "size")
	add("an empty object", []byte(`{}`), badConfig, "architectures")
	sizes := []string{"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"}
	for _, key := range sizes {
		for _, value := range []string{`0`, `-1`, `1.5`, `1e300`, `4294967296`, `18446744073709551616`, `"64"`, `true`, `[64]`, `{"a":64}`} {
			set(key, value, badConfig)
		}
	}
	for _, key := range []string{"rms_norm_eps", "rope_theta"} {
		for _, value := range []string{`0`, `-1`, `"x"`, `true`, `[]`, `1e300`} {
			set(key, value, badConfig)
		}
	}
	set("rope_theta", `1e999`, func(error) bool { return true })
	for _, key := range []string{"tie_word_embeddings", "attention_bias", "mlp_bias"} {
		for _, value := range []string{`1`, `"true"`, `[]`} {
			set(key, value, badConfig)
		}
	}
	for _, value := range []string{`null`, `[]`, `""`, `7`, `["LlamaForCausalLM","LlamaForCausalLM"]`, `{"a":1}`, `"LlamaForCausalLM"`} {
		set("architectures", value, badConfig)
	}
	for _, value := range []string{`[""]`, `[7]`, `["MambaForCausalLM"]`, `["llamaforcausallm"]`, `["../LlamaForCausalLM"]`, `["LlamaForSequenceClassification"]`, `["` + strings.Repeat("x", 10000) + `"]`} {
		set("architectures", value, unsupported, "architecture")
	}
	for _, value := range []string{`7`, `"yarn"`, `[]`, `{"rope_type":"dynamic","factor":2}`, `{"rope_type":"longrope"}`, `{"type":"su"}`, `{"type":"linear"}`, `{"type":"linear","factor":0}`,
		`{"type":"linear","factor":-2}`, `{"type":"linear","factor":1e300}`, `{"type":"linear","factor":"2"}`, `{"type":"linear","rope_type":"yarn","factor":2}`, `{"rope_type":["yarn"]}`,
		`{"rope_type":"yarn"}`, `{"rope_type":"yarn","factor":2,"beta_fast":1,"beta_slow":32}`, `{"rope_type":"yarn","factor":2,"attention_factor":-1}`, `{"rope_type":"yarn","factor":2,"mscale":"x"}`,
		`{"rope_type":"yarn","factor":2,"extra":1}`, `{"rope_type":"yarn","factor":2,"original_max_position_embeddings":4294967295}`,
		`{"rope_type":"llama3","factor":8}`, `{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":1,"original_max_position_embeddings":512}`} {
		set("rope_scaling", value, badConfig)
	}
	for key, value := range map[string]string{"hidden_act": `"gelu"`, "sliding_window": `4096`, "partial_rotary_factor": `0.5`, "quantization_config": `{"quant_method":"gptq"}`,
		"auto_map": `{"AutoModel":"evil.Model"}`, "num_experts": `8`, "num_local_experts": `8`, "final_logit_softcapping": `30`, "attn_logit_softcapping": `50`, "logit_scale": `2`,
		"is_encoder_decoder": `true`, "pruned_heads": `{"0":[1]}`, "layer_types": `["full_attention"]`, "residual_multiplier": `2`, "use_qk_norm": `true`, "is_causal": `false`} {
		set(key, value, badConfig)
	}
	for i, value := range []string{`7`, `"fp8"`, `{}`, `{"quant_method":7}`, `{"quant_method":"awq"}`, `{"quant_method":"bitsandbytes"}`, `{"quant_method":"fp8","fmt":"e5m2"}`,
		`{"quant_method":"fp8","weight_block_size":[0,0]}`, `{"quant_method":"fp8","weight_block_size":[128]}`, `{"quant_method":"fp8","weight_block_size":[-128,1e300]}`,
		`{"quant_method":"fp8","modules_to_not_convert":{"a":1}}`, `{"quant_method":"fp8","activation_scheme":[]}`, `{"quant_method":"fp8","evil":1}`,
		`{"quant_method":"compressed-tensors"}`, `{"quant_method":"compressed-tensors","config_groups":{"a":7}}`, `{"quant_method":"compressed-tensors","config_groups":{"a":{"weights":[]}}}`,
		`{"quant_method":"compressed-tensors","ignore":["re:` + strings.Repeat("(", 200) + `"],"config_groups":{}}`,
		`{"quant_method":"compressed-tensors","ignore":["re:(a{1000}){1000}"],"config_groups":{}}`} {
		add(fmt.Sprintf("quantisation %d", i), edited(t, configName, map[string]string{"quantization_config": value}), badConfig, "quantization_config")
	}
	for _, c := range [][2]string{{"num_hidden_layers", `3`}, {"num_hidden_layers", `5`}, {"intermediate_size", `191`}, {"hidden_size", `128`}, {"num_key_value_heads", `4`}, {"num_attention_heads", `8`},
		{"vocab_size", `511`}, {"vocab_size", `513`}, {"head_dim", `16`}, {"tie_word_embeddings", `false`}, {"attention_bias", `true`}, {"mlp_bias", `true`}} {
		text := edited(t, configName, map[string]string{c[0]: c[1]})
		files = append(files, file{"not of these weights: " + c[0] + " = " + c[1], tinyWith(map[string][]byte{configName: text}),
			func(err error) bool { return badConfig(err) || unsupported(err) || is(weights.ErrNoTensor)(err) }, []string{"weight"}})
		if strings.HasSuffix(c[0], "bias") {
			files[len(files)-1].say = []string{".bias"}
		}
	}
	for _, key := range []string{"bos_token_id", "eos_token_id"} {
		for _, value := range []string{`-1`, `1.5`, `"2"`, `true`, `{"a":1}`, `[[1]]`, `["x"]`, `1e300`, `4294967296`} {
			set(key, value, badConfig)
		}
	}
	return files
}

// templates are chat templates that cannot be run.
var templates = []string{
	`{% if %}`, `{% for x in %}`, `{% endfor %}`, `{{`, `{{ x`, `{% if x %}`, `{{ x | }}`, `{% import "os" %}`, `{% include "/etc/passwd" %}`, `{% extends "base" %}`,
	`{{ (((` + strings.Repeat("(", 100000) + `x`, strings.Repeat("{% if x %}", 100000), `{{ ` + strings.Repeat("-", 100000) + `1 }}`, `{{ ` + strings.Repeat("[", 100000),
	`{% for a in b %}` + strings.Repeat(`{% for a in b %}`, 10000), `{% macro %}{% endmacro %}`, `{% block x %}`, `{{ 'x }}`, `{{ x..y }}`, `{{ 1 + }}`, `{% set %}`, `{% unknown %}`,
}

// tokenizerFiles has tokenizer.json files that are none.
func tokenizerFiles(t *testing.T) (files []file) {
	const name = "tokenizer.json"
	text := string(tinyFile(t, name))
	add := func(what string, text string, kind kind, say ...string) {
		files = append(files, file{what, tinyWith(map[string][]byte{name: []byte(text)}), kind, append([]string{name}, say...)})
	}
	swap := func(old, new string, say ...string) {
		if !strings.Contains(text, old) {
			t.Fatalf("tokenizer.json has no %s", old)
		}
		add(fmt.Sprintf("%.40q for %.40q", new, old), strings.Replace(text, old, new, 1), func(err error) bool {
			return badTokens(err) || is(weights.ErrSyntax, weights.ErrDuplicate)(err)
		}, say...)
	}
	for broken, kind := range brokenJSON {
		add(fmt.Sprintf("%.30q of %d", broken, len(broken)), broken, is(kind))
	}
	for _, other := range []string{`null`, `[]`, `7`, `{}`, `{"version":"1.0"}`, `{"model":null}`, `{"model":[]}`, `{"model":{"type":"BPE"}}`, `{"model":{"type":"BPE","vocab":{},"merges":[]}}`} {
		add(other, other, badTokens)
	}
	swap(`"type":"BPE"`, `"type":"Unigram"`)
	swap(`"type":"BPE"`, `"type":"WordPiece"`)
	swap(`"type":"BPE"`, `"type":7`)
	swap(`"version":"1.0"`, `"version":"2.0"`, "version")
	swap(`"dropout":null`, `"dropout":0.5`, "dropout")
	swap(`"continuing_subword_prefix":null`, `"continuing_subword_prefix":"##"`)
	swap(`"end_of_word_suffix":null`, `"end_of_word_suffix":"</w>"`)
	swap(`"normalizer":null`, `"normalizer":{"type":"Lowercase"}`, "Lowercase")
	swap(`"normalizer":null`, `"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, "Precompiled")
	swap(`"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":""}`)
	swap(`"normalizer":null`, `"normalizer":7`)
	swap(`"normalizer":null`, `"normalizer":`+strings.Repeat(`{"type":"Sequence","normalizers":[`, 1000))
	swap(`"type":"Digits"`, `"type":"Split","pattern":{"Regex":"(a|a)*b"},"behavior":"Isolated","invert":false`)
	swap(`"type":"Digits"`, `"type":"Split","pattern":{"Regex":"`+strings.Repeat("(a*)*", 10000)+`"},"behavior":"Isolated","invert":false`)
	swap(`"type":"Digits"`, `"type":"Whitespace"`, "Whitespace")
	swap(`"type":"Digits"`, `"type":7`)
	swap(`"individual_digits":true`, `"individual_digits":"yes"`)
	swap(`"post_processor":null`, `"post_processor":{"type":"BertProcessing"}`, "BertProcessing")
	swap(`"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"ghost","type_id":0}}],"pair":[],"special_tokens":{}}`)
	swap(`"decoder":{"type":"ByteLevel"`, `"decoder":{"type":"WordPiece"`, "WordPiece")
	swap(`"!":3`, `"!":-3`, "id")
	swap(`"!":3`, `"!":1.5`)
	swap(`"!":3`, `"!":"3"`)
	swap(`"!":3`, `"!":null`)
	swap(`"!":3`, `"!":4`, "share id 4")
	swap(`"!":3`, `"!":4000000000`, "id")
	swap(`"!":3`, `"!":18446744073709551616`)
	swap(`"!":3`, `"!":1000000`, "id")
	swap(`"!":3`, `"!":3,"!":5`)
	swap(`"vocab":{`, `"vocab":[`)
	swap(`"merges":[`, `"merges":[["ghost","e"],`, "merge")
	swap(`"merges":[`, `"merges":[["a"],`, "merge")
	swap(`"merges":[`, `"merges":[["a","b","c"],`, "merge")
	swap(`"merges":[`, `"merges":["ab",`, "merge")
	swap(`"merges":[`, `"merges":[7,`)
	swap(`"merges":[`, `"merges":[["A","n"],`, "merge")
	swap(`"merges":[`, `"merges":[["a",["b"]],`)
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":-1,"content":"<|endoftext|>"`, "id")
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":1,"content":"<|endoftext|>"`)
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":0,"content":""`)
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":0,"content":7`)
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":0,"content":"<|im_end|>"`)
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":2000000000,"content":"<|far|>"`, "id")
	swap(`{"id":0,"content":"<|endoftext|>"`, `{"id":0,"id":0,"content":"<|endoftext|>"`)
	swap(`"added_tokens":[`, `"added_tokens":{`)
	swap(`"added_tokens":[`, `"added_tokens":[7,`)
	swap(`"special":true`, `"special":1`)
	swap(`"lstrip":false`, `"lstrip":"no"`)
	big := map[string]any{"id": 512, "content": "<|extra|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}
	b, _ := json.Marshal(big)
	add("more tokens than rows", strings.Replace(text, `"added_tokens":[`, `"added_tokens":[`+string(b)+`,`, 1), as[*model.ConfigError]())
	files[len(files)-1].say = []string{"vocab_size"}
	for _, at := range []int{1, 100, len(text) / 2, len(text) - 1} {
		add(fmt.Sprintf("cut at %d", at), text[:at], is(weights.ErrSyntax))
	}
	return files
}

// besideFiles has small files beside the weights that are wrong.
func besideFiles(t *testing.T) (files []file) {
	const config, generation, template = "tokenizer_config.json", "generation_config.json", "chat_template.jinja"
	add := func(name, what string, text []byte, kind kind, say ...string) {
		files = append(files, file{name + ": " + what, tinyWith(map[string][]byte{name: text}), kind, append([]string{name}, say...)})
	}
	anything := func(error) bool { return true }
	for _, name := range []string{config, generation} {
		for text, kind := range brokenJSON {
			add(name, fmt.Sprintf("%.30q of %d", text, len(text)), []byte(text), is(kind))
		}
		for _, text := range []string{`null`, `[]`, `7`} {
			add(name, text, []byte(text), anything)
		}
	}
	add(template, "2 MiB", []byte(strings.Repeat("x", 2<<20)), anything)
	for key, values := range map[string][]string{"chat_template": {`7`, `{"a":"b"}`, `[7]`, `["x"]`, `[{"name":7,"template":"x"}]`, `[{"name":"default","template":["x"]}]`, `true`},
		"bos_token": {`7`, `[]`, `{"content":7}`, `{}`, `true`}, "eos_token": {`7`, `["a"]`, `{"content":null}`, `{"Content":"x"}`, `false`}} {
		for _, value := range values {
			add(config, key+" = "+value, edited(t, config, map[string]string{key: value}), anything, key)
		}
	}
	for _, key := range []string{"bos_token_id", "eos_token_id"} {
		for _, value := range []string{`-1`, `512`, `1.5`, `"2"`, `true`, `{"a":1}`, `[[1]]`, `[1,"x"]`, `1e300`, `4294967296`, `[512,2]`} {
			files = append(files, file{generation + ": " + key + " = " + value,
				tinyWith(map[string][]byte{generation: edited(t, generation, map[string]string{key: value})}), badConfig, []string{key}})
		}
	}
	return files
}

// templateFiles has each bad template in each place that holds one.
func templateFiles(t *testing.T) (files []file) {
	g := readTiny(t)
	const config, template = "tokenizer_config.json", "chat_template.jinja"
	for _, source := range templates {
		quoted, _ := json.Marshal(source)
		what := fmt.Sprintf(": %.40q of %d", source, len(source))
		inConfig := edited(t, config, map[string]string{"chat_template": string(quoted)})
		inGGUF := g.with(func(g *gguf) { g.set("tokenizer.chat_template", text, str(source)) })
		files = append(files,
			file{config + what, tinyWith(map[string][]byte{config: inConfig}), badTemplate, []string{config, "chat_template"}},
			file{template + what, tinyWith(map[string][]byte{template: []byte(source)}), badTemplate, []string{template}},
			file{"m.gguf" + what, one("m.gguf", inGGUF), badTemplate, []string{"m.gguf", "chat_template"}})
	}
	return files
}
