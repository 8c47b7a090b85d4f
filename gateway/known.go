package gateway

import (
	"maps"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// knownFields are the request fields that OpenAI or its imitators define, served
// here or not. Their spelling in another case is refused.
var knownFields = merge(sharedFields, set(
	"messages", "prompt", "stream", "stream_options", "n", "seed", "stop", "max_tokens", "max_completion_tokens",
	"temperature", "top_p", "top_k", "min_p", "typical_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
	"logit_bias", "logprobs", "top_logprobs", "prompt_logprobs", "min_tokens", "stop_token_ids", "ignore_eos",
	"include_stop_str_in_output", "skip_special_tokens", "spaces_between_special_tokens", "add_special_tokens",
	"chat_template_kwargs", "add_generation_prompt", "continue_final_message", "reasoning_effort", "echo", "best_of",
	"return_token_ids", "return_tokens_as_token_ids", "suffix", "tools", "tool_choice", "parallel_tool_calls",
	"functions", "function_call", "response_format", "structured_outputs", "guided_json", "guided_regex",
	"guided_choice", "guided_grammar", "grammar", "json_schema", "regex", "ebnf", "structural_tag", "bad_words",
	"allowed_token_ids", "logits_processors", "thinking_token_budget", "chat_template", "documents", "modalities",
	"audio", "prediction", "web_search_options", "use_beam_search",
))

// sharedFields are those of every endpoint that names a model.
var sharedFields = set(
	"model", "truncate_prompt_tokens", "priority", "cache_salt", "timeout", "request_id", "user", "metadata", "store",
	"service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity",
)

func merge(a, b map[string]bool) map[string]bool {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// knownMessageFields are those of a message.
var knownMessageFields = set("role", "content", "name", "tool_calls", "tool_call_id", "refusal",
	"reasoning_content", "reasoning", "thinking", "function_call", "audio")

func set(names ...string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

// unserved are known fields that would change the answer and are not served,
// with the values that mean the same as leaving them out.
var unserved = map[string]func(v jinja.Value) bool{
	"tools":                 isEmpty,
	"functions":             isEmpty,
	"tool_choice":           isText("none", "auto"),
	"function_call":         isText("none", "auto"),
	"response_format":       isTextFormat,
	"structured_outputs":    isEmpty,
	"guided_json":           never,
	"guided_regex":          never,
	"guided_choice":         never,
	"guided_grammar":        never,
	"grammar":               isText(""),
	"json_schema":           isEmpty,
	"regex":                 isText(""),
	"ebnf":                  isText(""),
	"structural_tag":        never,
	"bad_words":             isEmpty,
	"allowed_token_ids":     isEmpty,
	"logits_processors":     isEmpty,
	"thinking_token_budget": never,
	"chat_template":         isTemplateName,
	"documents":             isEmpty,
	"modalities":            isTextOnly,
	"audio":                 never,
	"web_search_options":    never,
	"suffix":                isText(""),
	"use_beam_search":       isFalse,
}

// checkServed refuses fields that cannot be honoured, rather than answer
// something else than was asked for.
func (o object) checkServed(*options) error {
	for i := range o.dict.Len() {
		name := o.dict.Key(i).(jinja.String).String()
		harmless, known := unserved[name]
		if v := o.get(name); known && v != nil && !harmless(v) {
			return unsupported(o.path+name, "this server does not support this parameter; leave it out.")
		}
	}
	return nil
}

func never(jinja.Value) bool { return false }

func isEmpty(v jinja.Value) bool {
	switch v := v.(type) {
	case *jinja.List:
		return v.Len() == 0
	case *jinja.Dict:
		return v.Len() == 0
	}
	return false
}

func isText(texts ...string) func(jinja.Value) bool {
	return func(v jinja.Value) bool {
		s, ok := v.(jinja.String)
		for _, text := range texts {
			if ok && s.String() == text {
				return true
			}
		}
		return false
	}
}

func isFalse(v jinja.Value) bool {
	b, ok := v.(jinja.Bool)
	return ok && !bool(b)
}

// isTextFormat accepts {"type": "text"}.
func isTextFormat(v jinja.Value) bool {
	d, ok := v.(*jinja.Dict)
	if !ok {
		return false
	}
	kind, _ := d.Get("type")
	return isText("text")(kind)
}

// isTextOnly accepts ["text"].
func isTextOnly(v jinja.Value) bool {
	list, ok := v.(*jinja.List)
	return ok && list.Len() == 1 && isText("text")(list.Items()[0])
}
