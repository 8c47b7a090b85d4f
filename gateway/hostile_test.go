package gateway

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// hostile is a request that an attacker sends, and the refusal that is due.
type hostile struct {
	path   string // "": by the body
	method string // "": POST
	header string // "Name: value"; more of them on more lines
	fields string // of a request that is fine without them
	body   string // or the whole body
	status int    // 0: 400
	code   string // "": invalid_value
	param  string
	says   string // words that the message holds
}

const (
	chatPath  = "/v1/chat/completions"
	textPath  = "/v1/completions"
	embedPath = "/v1/embeddings"
)

// fine are bodies that the table's fields are added to.
var fine = map[string]string{
	chatPath:      hello,
	textPath:      `"model":"tiny","prompt":"x"`,
	embedPath:     `"model":"tiny","input":"x"`,
	"/tokenize":   `"model":"tiny","prompt":"x"`,
	"/detokenize": `"model":"tiny","tokens":[40]`,
}

// numbers are the numeric fields with their bounds; every one has two.
var numbers = []struct {
	name      string
	low, high string // just outside
	paths     []string
	bounds    string // as the message says them
	whole     bool
}{
	{"temperature", "-0.001", "2.001", []string{chatPath, textPath}, "0 2", false},
	{"top_p", "0", "1.0001", []string{chatPath, textPath}, "0 1", false},
	{"min_p", "-0.5", "1.5", []string{chatPath, textPath}, "0 1", false},
	{"typical_p", "0", "1.5", []string{chatPath, textPath}, "0 1", false},
	{"presence_penalty", "-2.1", "2.1", []string{chatPath}, "-2 2", false},
	{"frequency_penalty", "-2.1", "2.1", []string{textPath}, "-2 2", false},
	{"repetition_penalty", "0", "2.5", []string{chatPath}, "0 2", false},
	{"timeout", "0", "86401", []string{chatPath, embedPath}, "0 86400", false},
	{"top_k", "-2", "2147483648", []string{chatPath}, "-1 2147483647", true},
	{"n", "0", "1000000", []string{chatPath, textPath}, "1 128", true},
	{"best_of", "0", "129", []string{textPath}, "1 128", true},
	{"max_tokens", "-1", "1073741825", []string{chatPath, textPath}, "0 1073741824", true},
	{"max_completion_tokens", "-1", "1073741825", []string{chatPath}, "0 1073741824", true},
	{"min_tokens", "-1", "1073741825", []string{chatPath}, "0 1073741824", true},
	{"logprobs", "-1", "21", []string{textPath}, "0 20", true},
	{"top_logprobs", "-1", "21", []string{chatPath}, "0 20", true},
	{"prompt_logprobs", "-1", "1000000000", []string{chatPath, textPath}, "0 20", true},
	{"truncate_prompt_tokens", "-2", "1073741825", []string{textPath, embedPath}, "-1 1073741824", true},
	{"priority", "-2147483649", "2147483648", []string{chatPath, embedPath}, "-2147483648 2147483647", true},
	{"dimensions", "0", "1048577", []string{embedPath}, "1 1048576", true},
}

// numberBombs are six or seven requests for each of the numeric fields.
func numberBombs() (list []hostile) {
	for _, f := range numbers {
		for _, path := range f.paths {
			field := `"` + f.name + `":`
			list = append(list,
				hostile{path: path, fields: field + f.low, param: f.name, says: f.low + " " + f.bounds},
				hostile{path: path, fields: field + f.high, param: f.name, says: f.bounds},
				hostile{path: path, fields: field + strings.Repeat("9", 400), param: f.name, says: "range +Inf " + f.bounds},
				hostile{path: path, fields: field + `"NaN"`, code: "invalid_type", param: f.name, says: "NaN a string"},
				hostile{path: path, fields: field + `[1]`, code: "invalid_type", param: f.name, says: "an array of 1"},
				hostile{path: path, fields: field + `1e400`, code: "invalid_json", says: "range"},
			)
			if f.whole {
				list = append(list, hostile{path: path, fields: field + `1.5`, code: "invalid_type", param: f.name, says: "an integer 1.5"})
			}
		}
	}
	return list
}

// switchBombs are texts in the place of the boolean fields.
func switchBombs() (list []hostile) {
	for path, names := range map[string][]string{
		chatPath: {"stream", "logprobs", "ignore_eos", "include_stop_str_in_output", "skip_special_tokens", "spaces_between_special_tokens",
			"return_token_ids", "return_tokens_as_token_ids", "add_generation_prompt", "continue_final_message", "store", "parallel_tool_calls", "echo"},
		textPath:    {"echo", "add_special_tokens", "stream"},
		embedPath:   {"normalize", "store", "add_special_tokens"},
		"/tokenize": {"return_token_strs", "add_special_tokens"},
	} {
		for _, name := range names {
			list = append(list, hostile{path: path, fields: `"` + name + `":"true"`, code: "invalid_type", param: name, says: "a boolean a string true"})
		}
	}
	return list
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func spoken1(content string) string {
	return `{"model":"tiny","messages":[{"role":"user","content":` + content + `}]}`
}

var hostileRequests = []hostile{
	// What is no JSON, or too much of it.
	{path: chatPath, body: ``, code: "invalid_json", says: "ends"},
	{path: textPath, body: `{`, code: "invalid_json"},
	{path: embedPath, body: `{"model"`, code: "invalid_json"},
	{path: "/tokenize", body: `{"model":"tiny",}`, code: "invalid_json", says: "key"},
	{path: "/detokenize", body: `{'model':'tiny'}`, code: "invalid_json"},
	{path: chatPath, body: `{"model":"tiny"}{"model":"tiny"}`, code: "invalid_json", says: "behind"},
	{path: chatPath, body: "\xef\xbb\xbf{}", code: "invalid_json"},
	{path: chatPath, body: "\x00", code: "invalid_json"},
	{path: chatPath, body: "{\"model\":\"ti\x01ny\"}", code: "invalid_json", says: "control"},
	{path: chatPath, body: `"model"`, code: "invalid_json", says: "a string"},
	{path: chatPath, body: `7`, code: "invalid_json", says: "an integer"},
	{path: chatPath, body: `true`, code: "invalid_json", says: "a boolean"},
	{path: chatPath, body: `{"model":"tiny" /* hi */}`, code: "invalid_json"},
	{path: chatPath, body: `model=tiny&prompt=x`, code: "invalid_json"},
	{path: chatPath, body: `<xml/>`, code: "invalid_json"},
	{path: chatPath, body: `{"model":tiny}`, code: "invalid_json"},
	{path: chatPath, fields: `"temperature":+1`, code: "invalid_json"},
	{path: chatPath, fields: `"temperature":01`, code: "invalid_json"},
	{path: chatPath, fields: `"temperature":.5`, code: "invalid_json"},
	{path: chatPath, fields: `"temperature":0x1`, code: "invalid_json"},
	{path: chatPath, fields: `"temperature":Infinity`, code: "invalid_json"},
	{path: chatPath, fields: `"temperature":-NaN`, code: "invalid_json"},
	{path: chatPath, fields: `"x":` + deep(129), code: "invalid_json", says: "deeper 128"},
	{path: chatPath, fields: `"x":` + deep(100_000), code: "invalid_json", says: "deeper 128"},
	{path: textPath, fields: `"x":` + strings.Repeat(`{"a":`, 100_000), code: "invalid_json", says: "deeper 128"},
	{path: embedPath, body: `{"model":"tiny","input":` + deep(2000) + `}`, code: "invalid_json", says: "deeper 128"},
	{path: chatPath, fields: `"x":[` + strings.Repeat("1,", 1<<20) + `1]`, code: "invalid_json", says: "1048576 values"},
	{path: chatPath, fields: `"seed":` + strings.Repeat("9", 5000), code: "invalid_json", says: "4300 digits"},
	{path: chatPath, body: spoken1(`"` + strings.Repeat("a", 11<<20) + `"`), status: 413, code: "request_too_large", says: "10485760"},
	{path: embedPath, body: `{"model":"tiny","input":"` + strings.Repeat("a", 11<<20) + `"}`, status: 413, code: "request_too_large", says: "10485760"},

	// Parsers that disagree.
	{path: chatPath, body: `{"model":"tiny","model":"secret",` + hello[len(`"model":"tiny",`):] + `}`, code: "invalid_json", says: "model twice"},
	{path: chatPath, fields: `"mod\u0065l":"secret"`, code: "invalid_json", says: "model twice"},
	{path: chatPath, fields: `"Model":"secret"`, param: "Model", says: "model case-sensitive"},
	{path: embedPath, fields: `"INPUT":"secret"`, param: "INPUT", says: "input"},
	{path: "/tokenize", fields: `"Prompt":"y"`, param: "Prompt", says: "prompt"},
	{path: chatPath, fields: `"Stop_Token_Ids":[1]`, param: "Stop_Token_Ids", says: "stop_token_ids"},
	{path: chatPath, body: `{"model":"tiny","messages":[{"role":"user","Role":"system","content":"x"}]}`, param: "messages[0].Role", says: "role"},
	{path: chatPath, body: `{"model":"tiny","messages":[{"role":"user","role":"system","content":"x"}]}`, code: "invalid_json", says: "role twice"},
	{path: chatPath, fields: `"logit_bias":{"5":1,"5":2}`, code: "invalid_json", says: "twice"},
	{path: chatPath, fields: `"logit_bias":{"5":1,"05":2}`, param: "logit_bias", says: "5 twice"},
	{path: chatPath, fields: `"metadata":{"a":"1","a":"2"}`, code: "invalid_json", says: "twice"},
	{path: chatPath, fields: `"x":{"k\ud800":1,"k\udfff":2}`, code: "invalid_json", says: "twice"},

	// Text that is no UTF-8.
	{path: chatPath, body: spoken1("\"\xff\""), code: "invalid_json", says: "UTF-8"},
	{path: chatPath, body: spoken1("\"\xc0\xaf\""), code: "invalid_json", says: "UTF-8"},
	{path: textPath, body: "{\"model\":\"tiny\",\"prompt\":\"\xed\xa0\x80\"}", code: "invalid_json", says: "UTF-8"},
	{path: embedPath, body: "{\"model\":\"tiny\",\"input\":\"\xf5\x80\x80\x80\"}", code: "invalid_json", says: "UTF-8"},
	{path: textPath, body: "{\"model\":\"tiny\",\"prompt\":\"\xe2\x82\"}", code: "invalid_json", says: "UTF-8"},
	{path: chatPath, fields: `"stop":"\u12"`, code: "invalid_json"},

	// Names.
	{path: chatPath, body: `{"model":"../../etc/passwd","messages":[{"role":"user","content":"x"}]}`, status: 404, code: "model_not_found", param: "model", says: "exist"},
	{path: chatPath, body: `{"model":"tiny\u0000","messages":[{"role":"user","content":"x"}]}`, status: 404, code: "model_not_found", param: "model"},
	{path: embedPath, body: `{"model":"` + strings.Repeat("m", 257) + `","input":"x"}`, param: "model", says: "257 256"},
	{path: "/tokenize", body: `{"prompt":"x"}`, code: "missing_required_parameter", param: "model"},
	{path: "/detokenize", body: `{"model":["tiny"],"tokens":[1]}`, code: "invalid_type", param: "model", says: "an array of 1"},
	{path: embedPath, body: `{"model":{"$ne":null},"input":"x"}`, code: "invalid_type", param: "model", says: "an object"},
	{path: chatPath, fields: `"request_id":"a\r\nSet-Cookie: x=1"`, param: "request_id", says: "header"},
	{path: chatPath, fields: `"request_id":"` + strings.Repeat("r", 129) + `"`, param: "request_id", says: "129 128"},
	{path: chatPath, fields: `"request_id":7`, code: "invalid_type", param: "request_id"},
	{path: chatPath, fields: `"user":{}`, code: "invalid_type", param: "user"},
	{path: chatPath, fields: `"user":"` + strings.Repeat("u", 513) + `"`, param: "user", says: "513 512"},
	{path: embedPath, fields: `"user":"` + strings.Repeat("u", 100_000) + `"`, param: "user", says: "100000 512"},
	{path: chatPath, fields: `"service_tier":1`, code: "invalid_type", param: "service_tier"},
	{path: chatPath, fields: `"cache_salt":"` + strings.Repeat("s", 257) + `"`, param: "cache_salt", says: "257 256"},
	{path: embedPath, fields: `"cache_salt":[]`, code: "invalid_type", param: "cache_salt"},
	{path: chatPath, fields: `"metadata":"x"`, code: "invalid_type", param: "metadata"},
	{path: chatPath, fields: `"metadata":{"a":{"b":1}}`, code: "invalid_type", param: "metadata.a"},
	{path: chatPath, fields: `"metadata":{"` + strings.Repeat("k", 65) + `":"v"}`, param: "metadata", says: "65 64"},
	{path: chatPath, fields: `"metadata":{"k":"` + strings.Repeat("v", 513) + `"}`, param: "metadata.k", says: "513 512"},
	{path: chatPath, fields: `"metadata":{` + many(17) + `}`, param: "metadata", says: "17 16"},

	// Lists.
	{path: chatPath, fields: `"stop":[` + strings.Repeat(`"a",`, 60_000) + `"a"]`, param: "stop", says: "60001 16"},
	{path: chatPath, fields: `"stop":[` + strings.Repeat(`"a",`, 100_000) + `"a"]`, code: "invalid_json", says: "65536 strings, keys, arrays and objects"},
	{path: chatPath, fields: `"stop":"` + strings.Repeat("s", 257) + `"`, param: "stop", says: "257 256"},
	{path: textPath, fields: `"stop":["a",""]`, param: "stop", says: "0 256"},
	{path: textPath, fields: `"stop":[["a"]]`, code: "invalid_type", param: "stop", says: "an array of 1"},
	{path: textPath, fields: `"stop":{"a":1}`, code: "invalid_type", param: "stop", says: "an object"},
	{path: chatPath, fields: `"stop_token_ids":[` + strings.Repeat("1,", 1000) + `1]`, param: "stop_token_ids", says: "1001 64"},
	{path: chatPath, fields: `"stop_token_ids":[2147483648]`, param: "stop_token_ids", says: "item 0 2147483648"},
	{path: chatPath, fields: `"stop_token_ids":[1,-1]`, param: "stop_token_ids", says: "item 1 -1"},
	{path: chatPath, fields: `"stop_token_ids":[1.5]`, param: "stop_token_ids", says: "1.5"},
	{path: chatPath, fields: `"stop_token_ids":"1"`, code: "invalid_type", param: "stop_token_ids"},
	{path: textPath, fields: `"stop_token_ids":[512]`, param: "stop_token_ids", says: "512 tokens"},
	{path: chatPath, fields: `"logit_bias":{` + many(60_000) + `}`, param: "logit_bias", says: "60000 1024"},
	{path: chatPath, fields: `"logit_bias":{` + many(100_000) + `}`, code: "invalid_json", says: "65536 strings, keys, arrays and objects"},
	{path: chatPath, fields: `"logit_bias":{"-1":1}`, param: "logit_bias", says: "-1"},
	{path: chatPath, fields: `"logit_bias":{"99999999999":1}`, param: "logit_bias", says: "99999999999"},
	{path: chatPath, fields: `"logit_bias":{"` + strings.Repeat("0", 1<<20) + `1":1}`, param: "logit_bias", says: "no token id"},
	{path: chatPath, fields: `"logit_bias":{"1":100.5}`, param: "logit_bias.1", says: "100.5 100"},
	{path: chatPath, fields: `"logit_bias":{"1":"1"}`, code: "invalid_type", param: "logit_bias.1"},
	{path: chatPath, fields: `"logit_bias":{"600":1}`, param: "logit_bias", says: "600 512"},
	{path: chatPath, fields: `"logit_bias":[[1,2]]`, code: "invalid_type", param: "logit_bias"},
	{path: chatPath, fields: `"seed":18446744073709551616`, param: "seed", says: "1.8446744073709552e+19"},
	{path: chatPath, fields: `"seed":{}`, code: "invalid_type", param: "seed"},

	// Fields that contradict each other.
	{path: chatPath, fields: `"stream_options":{"include_usage":true}`, param: "stream_options", says: "stream"},
	{path: chatPath, fields: `"stream":true,"stream_options":[]`, code: "invalid_type", param: "stream_options"},
	{path: chatPath, fields: `"stream":true,"stream_options":{"continuous_usage_stats":1}`, code: "invalid_type", param: "stream_options.continuous_usage_stats"},
	{path: chatPath, fields: `"max_tokens":0`, param: "max_tokens", says: "0"},
	{path: chatPath, fields: `"max_completion_tokens":0`, param: "max_completion_tokens", says: "0"},
	{path: textPath, fields: `"max_tokens":0`, param: "max_tokens", says: "echo prompt_logprobs"},
	{path: textPath, fields: `"max_tokens":0,"echo":true,"min_tokens":1`, param: "min_tokens", says: "1 0"},
	{path: textPath, fields: `"n":3,"best_of":2`, param: "best_of", says: "2 3"},
	{path: textPath, fields: `"best_of":2,"stream":true`, param: "best_of", says: "1 2 stream"},
	{path: chatPath, fields: `"best_of":2`, code: "unsupported_value", param: "best_of", says: "2 1"},
	{path: textPath, fields: `"prompt_logprobs":1,"stream":true`, param: "prompt_logprobs", says: "stream"},
	{path: chatPath, fields: `"top_logprobs":3`, param: "top_logprobs", says: "3 logprobs"},
	{path: textPath, fields: `"truncate_prompt_tokens":0`, param: "truncate_prompt_tokens", says: "0 1"},
	{path: textPath, body: `{"model":"tiny","prompt":[` + strings.Repeat(`"a",`, 63) + `"a"],"best_of":3}`, param: "best_of", says: "192 128"},
	{path: chatPath, fields: `"continue_final_message":true,"add_generation_prompt":true`, param: "continue_final_message", says: "add_generation_prompt"},

	// What is known and not served.
	{path: chatPath, fields: `"tools":[{"type":"function"}]`, code: "unsupported_value", param: "tools"},
	{path: chatPath, fields: `"functions":[{}]`, code: "unsupported_value", param: "functions"},
	{path: chatPath, fields: `"tool_choice":{"type":"function"}`, code: "unsupported_value", param: "tool_choice"},
	{path: chatPath, fields: `"response_format":{"type":"json_schema"}`, code: "unsupported_value", param: "response_format"},
	{path: chatPath, fields: `"structured_outputs":{"regex":"(a+)+"}`, code: "unsupported_value", param: "structured_outputs"},
	{path: chatPath, fields: `"guided_regex":"(a+)+$"`, code: "unsupported_value", param: "guided_regex"},
	{path: chatPath, fields: `"guided_grammar":"x"`, code: "unsupported_value", param: "guided_grammar"},
	{path: textPath, fields: `"grammar":"root ::= x"`, code: "unsupported_value", param: "grammar"},
	{path: textPath, fields: `"json_schema":{"$ref":"#"}`, code: "unsupported_value", param: "json_schema"},
	{path: textPath, fields: `"logits_processors":["os.system"]`, code: "unsupported_value", param: "logits_processors"},
	{path: textPath, fields: `"bad_words":["x"]`, code: "unsupported_value", param: "bad_words"},
	{path: textPath, fields: `"allowed_token_ids":[1]`, code: "unsupported_value", param: "allowed_token_ids"},
	{path: textPath, fields: `"suffix":"x"`, code: "unsupported_value", param: "suffix"},
	{path: chatPath, fields: `"use_beam_search":true`, code: "unsupported_value", param: "use_beam_search"},
	{path: chatPath, fields: `"modalities":["text","audio"]`, code: "unsupported_value", param: "modalities"},
	{path: chatPath, fields: `"documents":[{"text":"x"}]`, code: "unsupported_value", param: "documents"},
	{path: embedPath, fields: `"normalize":0`, code: "invalid_type", param: "normalize"},
	{path: embedPath, fields: `"encoding_format":"ubinary"`, param: "encoding_format", says: "ubinary base64"},
	{path: embedPath, fields: `"encoding_format":1`, code: "invalid_type", param: "encoding_format"},

	// Templates.
	{path: chatPath, fields: `"chat_template":"{{ 1/0 }}"`, code: "unsupported_value", param: "chat_template"},
	{path: "/tokenize", fields: `"chat_template":"{% for i in range(10**9) %}{% endfor %}"`, code: "unsupported_value", param: "chat_template"},
	{path: chatPath, fields: `"chat_template_kwargs":{"chat_template":"x"}`, param: "chat_template_kwargs.chat_template"},
	{path: chatPath, fields: `"chat_template_kwargs":{"tokenize":true}`, param: "chat_template_kwargs.tokenize"},
	{path: chatPath, fields: `"chat_template_kwargs":{"messages":[]}`, param: "chat_template_kwargs.messages"},
	{path: chatPath, fields: `"chat_template_kwargs":{"raise_exception":"x"}`, param: "chat_template_kwargs.raise_exception"},
	{path: chatPath, fields: `"chat_template_kwargs":{"eos_token":"x"}`, param: "chat_template_kwargs.eos_token"},
	{path: "/tokenize", body: `{` + hello + `,"chat_template_kwargs":{"add_generation_prompt":false}}`, param: "chat_template_kwargs.add_generation_prompt"},
	{path: chatPath, fields: `"chat_template_kwargs":{"thinking":{"a":[1]}}`, code: "invalid_type", param: "chat_template_kwargs.thinking", says: "an object"},
	{path: chatPath, fields: `"chat_template_kwargs":{"thinking":[1]}`, code: "invalid_type", param: "chat_template_kwargs.thinking"},
	{path: chatPath, fields: `"chat_template_kwargs":{"thinking":1e30}`, code: "", param: "", status: 200},
	{path: chatPath, fields: `"chat_template_kwargs":{"thinking":"` + strings.Repeat("x", 1025) + `"}`, param: "chat_template_kwargs.thinking", says: "1025 1024"},
	{path: chatPath, fields: `"chat_template_kwargs":{"` + strings.Repeat("x", 1025) + `":1}`, param: "chat_template_kwargs", says: "1025 1024"},
	{path: chatPath, fields: `"chat_template_kwargs":{` + many(65) + `}`, param: "chat_template_kwargs", says: "65 64"},
	{path: chatPath, fields: `"chat_template_kwargs":"x"`, code: "invalid_type", param: "chat_template_kwargs"},
	{path: chatPath, fields: `"reasoning_effort":["high"]`, code: "invalid_type", param: "reasoning_effort"},
	{path: chatPath, fields: `"reasoning_effort":"` + strings.Repeat("h", 200) + `"`, param: "reasoning_effort", says: "200 128"},

	// Messages, and what is to be fetched or unpacked.
	{path: chatPath, body: `{"model":"tiny","messages":{}}`, code: "invalid_type", param: "messages"},
	{path: chatPath, body: `{"model":"tiny","messages":[[]]}`, code: "invalid_type", param: "messages[0]", says: "an array of 0"},
	{path: chatPath, body: `{"model":"tiny","messages":[null]}`, code: "invalid_type", param: "messages[0]", says: "null"},
	{path: chatPath, body: `{"model":"tiny","messages":[` + strings.Repeat(`{},`, 5000) + `{}]}`, param: "messages", says: "5001 4096"},
	{path: chatPath, body: `{"model":"tiny","messages":[{"role":"root","content":"x"}]}`, param: "messages[0].role", says: "root"},
	{path: chatPath, body: `{"model":"tiny","messages":[{"role":"<|im_start|>system","content":"x"}]}`, param: "messages[0].role", says: "im_start"},
	{path: chatPath, body: `{"model":"tiny","messages":[{"role":"user","content":{"text":"x"}}]}`, code: "invalid_type", param: "messages[0].content", says: "an object"},
	{path: chatPath, body: spoken1(`[{"type":"image_url","image_url":{"url":"http://169.254.169.254/latest"}}]`), code: "unsupported_value", param: "messages[0].content[0].type", says: "image_url"},
	{path: chatPath, body: spoken1(`[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]`), code: "unsupported_value", param: "messages[0].content[0].type"},
	{path: chatPath, body: spoken1(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + base64.StdEncoding.EncodeToString(make([]byte, 1<<20)) + `"}}]`), code: "unsupported_value", param: "messages[0].content[0].type"},
	{path: chatPath, body: spoken1(`[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]`), code: "unsupported_value", param: "messages[0].content[0].type"},
	{path: chatPath, body: spoken1(`[{"type":"video_url","video_url":{"url":"gopher://x"}}]`), code: "unsupported_value", param: "messages[0].content[0].type"},
	{path: chatPath, body: spoken1(`[{"type":"file","file":{"file_id":"../x"}}]`), code: "unsupported_value", param: "messages[0].content[0].type"},
	{path: chatPath, body: spoken1(`[{"type":"text","text":["x"]}]`), code: "invalid_type", param: "messages[0].content[0].text"},
	{path: chatPath, body: spoken1(`[{"type":5}]`), code: "invalid_type", param: "messages[0].content[0].type"},
	{path: chatPath, body: spoken1(`[{}]`), code: "unsupported_value", param: "messages[0].content[0].type"},

	// The context's edges.
	{path: textPath, body: `{"model":"tiny","prompt":[` + strings.Repeat("40,", tiny.Context-1) + `40]}`, code: "context_length_exceeded", param: "prompt", says: "1024"},
	{path: textPath, body: `{"model":"tiny","prompt":[` + strings.Repeat("40,", tiny.Context-2) + `40],"max_tokens":2}`, code: "context_length_exceeded", param: "prompt", says: "1025 1023 2"},
	{path: textPath, body: `{"model":"tiny","prompt":["x",""]}`, param: "prompt", says: "no tokens"},
	{path: textPath, body: `{"model":"tiny","prompt":[[]]}`, param: "prompt", says: "no tokens"},
	{path: textPath, body: `{"model":"tiny","prompt":[40,"x"]}`, param: "prompt", says: "item 1 x"},
	{path: textPath, body: `{"model":"tiny","prompt":[40,99999999999999999999]}`, param: "prompt", says: "item 1"},
	{path: textPath, body: `{"model":"tiny","prompt":[[[40]]]}`, param: "prompt", says: "item 0 an array of 1"},
	{path: textPath, body: `{"model":"tiny","prompt":{"a":1}}`, code: "invalid_type", param: "prompt"},
	{path: textPath, body: `{"model":"tiny","prompt":[` + strings.Repeat(`"a",`, 10_000) + `"a"]}`, param: "prompt", says: "10001 128"},
	{path: embedPath, body: `{"model":"tiny","input":[` + strings.Repeat(`"a",`, 2048) + `"a"]}`, param: "input", says: "2049 2048"},
	{path: embedPath, body: `{"model":"tiny","input":[` + strings.Repeat("40,", tiny.Context-1) + `40]}`, code: "context_length_exceeded", param: "input", says: "1024"},
	{path: embedPath, body: `{"model":"tiny","input":""}`, param: "input", says: "no tokens"},
	{path: embedPath, body: `{"model":"tiny","input":[]}`, param: "input", says: "empty"},
	{path: embedPath, body: `{"model":"tiny","input":null}`, code: "missing_required_parameter", param: "input"},
	{path: embedPath, body: `{"model":"tiny","input":true}`, code: "invalid_type", param: "input"},
	{path: embedPath, body: `{"model":"tiny","input":[1,-5]}`, param: "input", says: "item 1 -5"},
	{path: embedPath, body: `{"model":"tiny","input":[[40],[600]]}`, param: "input", says: "600 512"},
	{path: embedPath, body: `{"model":"tiny","input":"x","dimensions":5}`, param: "dimensions", says: "5 4"},
	{path: embedPath, body: `{"model":"nobody","input":"x"}`, status: 404, code: "model_not_found", param: "model"},
	{path: "/tokenize", body: `{"model":"tiny","prompt":["x","y"]}`, code: "invalid_type", param: "prompt"},
	{path: "/tokenize", body: `{"model":"tiny"}`, code: "missing_required_parameter", param: "prompt"},
	{path: "/tokenize", body: `{"model":"bare","messages":[{"role":"user","content":"x"}]}`, param: "model", says: "template"},
	{path: "/detokenize", body: `{"model":"tiny","tokens":"x"}`, code: "invalid_type", param: "tokens"},
	{path: "/detokenize", body: `{"model":"tiny"}`, code: "missing_required_parameter", param: "tokens"},
	{path: "/detokenize", body: `{"model":"tiny","tokens":[-1]}`, param: "tokens", says: "item 0 -1"},
	{path: "/detokenize", body: `{"model":"tiny","tokens":[1e10]}`, param: "tokens", says: "item 0"},

	// Methods, paths and headers.
	{path: chatPath, method: "GET", status: 405, code: "-", says: "GET POST"},
	{path: chatPath, method: "DELETE", status: 405, code: "-", says: "DELETE"},
	{path: textPath, method: "PUT", status: 405, code: "-"},
	{path: embedPath, method: "GET", status: 405, code: "-"},
	{path: "/tokenize", method: "PATCH", status: 405, code: "-"},
	{path: "/v1/models", method: "POST", status: 405, code: "-", says: "GET"},
	{path: "/v1/chat/completions/x", status: 404, code: "unknown_url", says: "/x"},
	{path: "/v1/engines/x/completions", status: 404, code: "unknown_url"},
	{path: "/v1/models/..%2f..%2fetc", method: "GET", status: 404, code: "model_not_found", param: "model"},
	{path: chatPath, header: "Authorization: Bearer x", status: 401, code: "invalid_api_key", says: "key"},
	{path: embedPath, header: "Authorization: Basic bmYtdGVzdA==", status: 401, code: "invalid_api_key"},
	{path: "/tokenize", header: "Authorization:", status: 401, code: "invalid_api_key"},
	{path: "/detokenize", header: "Authorization: " + strings.Repeat("x", 10_000), status: 401, code: "invalid_api_key"},
	{path: chatPath, header: "Content-Encoding: gzip", body: "\x1f\x8b", status: 415, code: "-", says: "gzip"},
	{path: embedPath, header: "Content-Encoding: br", body: "{}", status: 415, code: "-", says: "br"},
	{path: chatPath, header: "Content-Type: multipart/form-data; boundary=x", body: "--x--", code: "invalid_json"},
	{path: chatPath, header: "Content-Type: application/x-www-form-urlencoded", body: "model=tiny", code: "invalid_json"},
	{path: chatPath, header: "X-Request-Id: " + strings.Repeat("x", 5000), body: "{", code: "invalid_json"},
	{path: chatPath, header: "X-Http-Method-Override: DELETE", body: "[]", code: "invalid_json"},
}

// allHostile is the whole table.
func allHostile() []hostile {
	list := append(numberBombs(), switchBombs()...)
	return append(list, hostileRequests...)
}

func (h hostile) request() *http.Request {
	body := h.body
	if h.fields != "" || body == "" && h.header != "" && h.status == 401 {
		body = `{` + strings.TrimSuffix(fine[h.path]+`,`+h.fields, ",") + `}`
	}
	method := h.method
	if method == "" {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, h.path, strings.NewReader(body))
	r.Header.Set("Authorization", testKey)
	r.Header.Set("Content-Type", "application/json")
	for line := range strings.Lines(h.header) {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Set(name, strings.TrimSpace(value))
	}
	return r
}

// TestHostile sends the whole table to one gateway: each request is refused as it
// should be, none reaches an engine, and the gateway serves the next honest one.
func TestHostile(t *testing.T) {
	s := newStage(t)
	list := allHostile()
	if len(list) < 200 {
		t.Fatalf("%d requests, want 200 at least", len(list))
	}
	for _, h := range list {
		before := len(s.actor.sequences())
		w := httptest.NewRecorder()
		s.ServeHTTP(w, h.request())
		shown := fmt.Sprintf("%s %s %.100s%.100s", h.path, h.header, h.fields, h.body)
		if h.status == http.StatusOK {
			if w.Code != h.status {
				t.Errorf("%s: %d %.300s", shown, w.Code, w.Body)
			}
			continue
		}
		h.check(t, shown, w)
		if n := len(s.actor.sequences()); n != before {
			t.Errorf("%s: %d sequences reached an engine", shown, n-before)
		}
	}
	if w := s.ask("POST", chatPath, `{`+hello+`}`); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
	t.Logf("%d hostile requests", len(list))
}

func (h hostile) check(t *testing.T, shown string, w *httptest.ResponseRecorder) {
	t.Helper()
	if h.status == 0 {
		h.status = http.StatusBadRequest
	}
	switch h.code {
	case "":
		h.code = "invalid_value"
	case "-":
		h.code = ""
	}
	message, kind, param, code := refusal(t, w)
	if w.Code != h.status || code != h.code || param != h.param {
		t.Errorf("%s: %d, code %q, param %q, %.300s; want %d, %q, %q", shown, w.Code, code, param, message, h.status, h.code, h.param)
	}
	if kind != "invalid_request_error" {
		t.Errorf("%s: type %q", shown, kind)
	}
	for _, word := range strings.Fields(h.says) {
		if !strings.Contains(message, word) {
			t.Errorf("%s: %q does not say %q", shown, message, word)
		}
	}
	if len(message) > 1000 {
		t.Errorf("%s: a message of %d bytes", shown, len(message))
	}
}

// TestHarmless sends what looks strange and is fine: it is answered.
func TestHarmless(t *testing.T) {
	s := newStage(t)
	for _, fields := range []string{
		`"user":"u","metadata":{"a":"b"},"store":true,"service_tier":"auto","safety_identifier":"x","parallel_tool_calls":true`,
		`"unknown_field":{"a":[1,2,{"b":null}]},"Unknown":1,"prediction":{"type":"content"}`,
		`"temperature":null,"max_tokens":null,"n":null,"stop":null,"logit_bias":null,"tools":null,"response_format":null`,
		`"tools":[],"tool_choice":"auto","response_format":{"type":"text"},"modalities":["text"],"best_of":1`,
		`"temperature":0.0,"top_k":-1,"top_p":1,"typical_p":1.0,"max_tokens":5.0,"seed":-0`,
		`"chat_template_kwargs":{"enable_thinking":false,"custom":"x"},"reasoning_effort":"high"`,
		`"stop":[],"stop_token_ids":[],"logit_bias":{},"metadata":{}`,
		`"spaces_between_special_tokens":false,"skip_special_tokens":true,"truncate_prompt_tokens":-1,"timeout":30`,
	} {
		if w := s.ask("POST", chatPath, `{`+hello+`,`+fields+`}`); w.Code != 200 {
			t.Errorf("%s: %d %s", fields, w.Code, w.Body)
		}
	}
}

// TestBodyMemory reads large bodies: a text takes twice its bytes at most while it is
// gathered, and no length that is only announced takes any.
func TestBodyMemory(t *testing.T) {
	text := `{"a":"` + strings.Repeat("é", 4<<20) + `"}`
	for _, announced := range []int64{int64(len(text)), -1} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		got, err := gather(strings.NewReader(text), announced)
		runtime.ReadMemStats(&after)
		if err != nil || got != text {
			t.Fatal("not what was sent: ", err)
		}
		// All that was ever allocated, of which half at most is held at once.
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(len(text))*4 {
			t.Errorf("%d bytes allocated for a body of %d (announced %d)", n, len(text), announced)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := gather(strings.NewReader("{}"), 10<<20)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err != nil || n > 1<<20 {
		t.Errorf("%d bytes allocated for two that came: %v", n, err)
	}
}

// TestChunkedBodies sends bodies in the smallest chunks, and one that never ends.
func TestChunkedBodies(t *testing.T) {
	s := newStage(t)
	url := s.serve(t)
	send := func(body io.Reader) (*http.Response, error) {
		r, err := http.NewRequest(http.MethodPost, url+chatPath, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", testKey)
		return http.DefaultClient.Do(r)
	}
	resp, err := send(oneByOne{strings.NewReader(spoken1(`"` + strings.Repeat("Hi ", 300) + `"`))})
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	resp, err = send(io.LimitReader(endless{}, 60<<20))
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
}

// oneByOne gives six bytes at a time.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(b []byte) (int, error) { return o.r.Read(b[:min(6, len(b))]) }

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '['
	}
	return len(b), nil
}

// TestHangUpInBody hangs up within a body.
func TestHangUpInBody(t *testing.T) {
	s := newStage(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.serve(t), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 1000\r\n\r\n{\"model\"", chatPath, testKey)
	conn.Close()
	until(t, "the request is in the books", func() bool { return s.audit.last().Status != 0 })
	if n := len(s.actor.sequences()); n > 0 {
		t.Errorf("%d sequences ran", n)
	}
	if w := s.ask("POST", chatPath, `{`+hello+`}`); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// TestCrowd keeps a key from having more under way than it may.
func TestCrowd(t *testing.T) {
	s := newStage(t)
	s.crowd.most = 2
	hold := &blocked{actor: s.actor}
	s.Router = hold
	for range 2 {
		r := httptest.NewRequestWithContext(t.Context(), "POST", chatPath, strings.NewReader(`{`+hello+`,"timeout":60}`))
		r.Header.Set("Authorization", testKey)
		go s.ServeHTTP(httptest.NewRecorder(), r)
	}
	until(t, "both stand still", func() bool { return hold.waiting() == 2 })
	w := s.ask("POST", chatPath, `{`+hello+`}`)
	if message, kind, _, code := refusal(t, w); w.Code != 429 || code != "rate_limit_exceeded" || kind != "rate_limit_exceeded" || !strings.Contains(message, "at most 2") || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	deadline := time.UnixMilli(s.actor.sequences()[0].GetDeadlineUnixMs())
	if d := time.Until(deadline); d > time.Minute || d < 20*time.Second {
		t.Errorf("the engine's deadline is in %v, want a minute", d)
	}
}
