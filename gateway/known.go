package gateway

import "github.com/nanofleet/nanofleet/engine/chat/jinja"

// knownFields are the request fields that OpenAI or its imitators define, served
// here or not. Their spelling in another case is refused.
var knownFields = set(
	"model", "messages", "prompt", "stream", "stream_options", "n", "seed", "stop", "max_tokens", "max_completion_tokens",
	"temperature", "top_p", "top_k", "min_p", "typical_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
	"logit_bias", "logprobs", "top_logprobs", "min_tokens", "stop_token_ids", "ignore_eos", "include_stop_str_in_output",
	"skip_special_tokens", "priority", "cache_salt", "chat_template_kwargs", "add_generation_prompt",
	"continue_final_message", "echo", "suffix", "best_of", "tools", "tool_choice", "parallel_tool_calls", "functions",
	"function_call", "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice",
	"guided_grammar", "chat_template", "documents", "modalities", "audio", "prediction", "web_search_options",
	"reasoning_effort", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
	"prompt_logprobs", "use_beam_search", "verbosity",
)

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
	"tools":              isEmpty,
	"functions":          isEmpty,
	"tool_choice":        isText("none", "auto"),
	"function_call":      isText("none", "auto"),
	"response_format":    isTextFormat,
	"structured_outputs": isEmpty,
	"guided_json":        never,
	"guided_regex":       never,
	"guided_choice":      never,
	"guided_grammar":     never,
	"chat_template":      never,
	"documents":          isEmpty,
	"modalities":         isTextOnly,
	"audio":              never,
	"prediction":         never,
	"web_search_options": never,
	"suffix":             isText(""),
	"best_of":            isInt(1),
	"use_beam_search":    isFalse,
	"prompt_logprobs":    isInt(0),
	"typical_p":          isInt(1),
}

// checkServed refuses fields that cannot be honoured, rather than answer
// something else than was asked for.
func (o object) checkServed() error {
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

func isInt(want int64) func(jinja.Value) bool {
	return func(v jinja.Value) bool {
		n, ok := integerOf(v)
		return ok && n == want
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
