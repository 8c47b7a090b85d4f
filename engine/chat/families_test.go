package chat

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// familyCase is one case of testdata/families.json.gz, with what Jinja2 makes of it.
type familyCase struct {
	Name                string
	Messages, Tools     json.RawMessage
	AddGenerationPrompt bool `json:"add_generation_prompt"`
	Kwargs              map[string]json.RawMessage
	Want                map[string]struct{ Text, Class, Message string }
}

func readFamilies(t *testing.T) (cases []familyCase) {
	t.Helper()
	f, err := os.Open("testdata/families.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func (c *familyCase) input(t *testing.T) Input {
	t.Helper()
	in := Input{Messages: list(t, c.Messages), Tools: list(t, c.Tools), AddGenerationPrompt: c.AddGenerationPrompt,
		BOS: "<BOS>", Now: goldenNow, Kwargs: map[string]any{}}
	for name, text := range c.Kwargs {
		v, err := ParseOrderedJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		in.Kwargs[name] = v
	}
	return in
}

// constructs are what the templates of model families are made of; ours of the same
// name has each.
var constructs = map[string][]string{
	"qwen2.5": {
		"{%- if tools %}", "messages[0]['role'] == 'system'", "{{- messages[0]['content'] }}", "{%- for tool in tools %}", "tool | tojson",
		"' + messages[0]['content'] + '", "{%- for message in messages %}", `message.role == "system" and not loop.first`,
		`message.role == "assistant" and not message.tool_calls`, "' + message.role + '", "{%- elif", "{%- if message.content %}",
		"{%- for tool_call in message.tool_calls %}", "tool_call.function is defined", "{%- set tool_call = tool_call.function %}",
		"tool_call.arguments | tojson", "loop.index0 == 0", `messages[loop.index0 - 1].role != "tool"`,
		`loop.last or (messages[loop.index0 + 1].role != "tool")`, "{%- if add_generation_prompt %}",
	},
	"llama3.2": {
		"{{- bos_token }}", "custom_tools is defined", "{%- set tools = custom_tools %}", "not tools_in_user_message is defined",
		"strftime_now is defined", `strftime_now("%d %b %Y")`, "not tools is defined", "{%- set tools = none %}", "messages[0]['content']|trim",
		"{%- set messages = messages[1:] %}", "builtin_tools is defined or tools is not none",
		"builtin_tools | reject('equalto', 'code_interpreter') | join(\", \")", "tools is not none and not tools_in_user_message",
		"t | tojson(indent=4)", "tools_in_user_message and not tools is none", "messages | length != 0", "raise_exception(", "-}}",
		`first_user_message + "<|eot_id|>"`, "not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message)",
		"message['content'] | trim", "not message.tool_calls|length == 1", "message.tool_calls[0].function",
		"builtin_tools is defined and tool_call.name in builtin_tools", "for arg_name, arg_val in tool_call.arguments | items",
		`arg_name + '="' + arg_val + '"'`, "{%- if not loop.last %}", "{%- else  %}", "tool_call.arguments | tojson",
		"message.content is mapping or message.content is iterable", "message.content | tojson", "{#-", "#}\n",
	},
}

// TestFamilies renders what Jinja2 rendered with templates that have every construct of
// their family.
func TestFamilies(t *testing.T) {
	cases := readFamilies(t)
	for family, list := range constructs {
		source, err := os.ReadFile("testdata/families/" + family + ".jinja")
		if err != nil {
			t.Fatal(err)
		}
		for _, construct := range list {
			if !strings.Contains(string(source), construct) {
				t.Errorf("%s lacks %s", family, construct)
			}
		}
		tmpl, err := Parse(string(source))
		if err != nil {
			t.Fatalf("%s: %v", family, err)
		}
		for _, c := range cases {
			want, ok := c.Want[family]
			if !ok {
				t.Fatalf("%s: no golden for %s", c.Name, family)
			}
			got, err := tmpl.Render(c.input(t))
			if err != nil {
				if class, message := classOf(err); class != want.Class || message != want.Message {
					t.Errorf("%s, %s\n got %s: %s\nwant %s: %s", family, c.Name, class, message, want.Class, want.Message)
				}
			} else if want.Class != "" || got != want.Text {
				t.Errorf("%s, %s\n got %q\nwant %q %s", family, c.Name, got, want.Text, want.Message)
			}
		}
	}
}
