package chat

import (
	"fmt"
	"time"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// Input is one conversation to render. Its values must not change meanwhile.
type Input struct {
	Messages             []jinja.Value  // each a *jinja.Dict with role, content, ...
	Tools                []jinja.Value  // each a *jinja.Dict; nil: the template sees tools as None
	Documents            []jinja.Value  // for retrieval templates; nil: None
	AddGenerationPrompt  bool           // end with the opening of an assistant message
	ContinueFinalMessage bool           // leave the last message open, for the model to go on with
	BOS, EOS             string         // the model's tokens; "": the template sees none
	Kwargs               map[string]any // more variables, such as enable_thinking
	Now                  time.Time      // what strftime_now prints
	Limits               jinja.Limits   // zero: by the size of the conversation
}

// InputError says what is wrong with an [Input].
type InputError struct{ Message string }

func (e *InputError) Error() string { return e.Message }

// reasoningFields are the names under which clients send a message's
// reasoning, the first one being what templates read.
var reasoningFields = []string{"reasoning_content", "thinking", "reasoning"}

// variables are the names the template sees.
func (in *Input) variables() (map[string]jinja.Value, error) {
	messages, err := in.messages()
	if err != nil {
		return nil, err
	}
	vars := map[string]jinja.Value{
		"messages":              messages,
		"tools":                 listOrNone(in.Tools),
		"documents":             listOrNone(in.Documents),
		"add_generation_prompt": jinja.Bool(in.AddGenerationPrompt),
	}
	if err := in.addKwargs(vars); err != nil {
		return nil, err
	}
	for name, token := range map[string]string{"bos_token": in.BOS, "eos_token": in.EOS} {
		if _, given := vars[name]; !given && token != "" {
			vars[name] = jinja.Text(token)
		}
	}
	return vars, nil
}

func (in *Input) addKwargs(vars map[string]jinja.Value) error {
	for name, value := range in.Kwargs {
		if _, taken := vars[name]; taken {
			return &InputError{fmt.Sprintf("template variable %q cannot be replaced", name)}
		}
		v, err := jinja.Of(value)
		if err != nil {
			return fmt.Errorf("template variable %q: %w", name, err)
		}
		vars[name] = v
	}
	return nil
}

// messages are the conversation as templates expect it: without null fields,
// and with reasoning under the names they know.
func (in *Input) messages() (*jinja.List, error) {
	if len(in.Messages) == 0 {
		return nil, &InputError{"Cannot apply chat template to an empty conversation. Provide at least one message."}
	}
	if in.ContinueFinalMessage && in.AddGenerationPrompt {
		return nil, &InputError{"continue_final_message and add_generation_prompt are not compatible."}
	}
	out := make([]jinja.Value, len(in.Messages))
	for i, m := range in.Messages {
		d, ok := m.(*jinja.Dict)
		if !ok {
			return nil, &InputError{fmt.Sprintf("messages[%d] is not an object", i)}
		}
		out[i] = aliasReasoning(withoutNulls(d))
	}
	return jinja.NewList(out...), nil
}

func isNull(v jinja.Value) bool {
	_, null := v.(jinja.None)
	return null
}

// withoutNulls drops a message's null fields: templates handle an absent
// content or tool_calls, but print a null one as None.
func withoutNulls(message *jinja.Dict) *jinja.Dict {
	for i := range message.Len() {
		if isNull(message.At(i)) {
			return copyFields(jinja.NewDict(), message)
		}
	}
	return message
}

// copyFields adds to out the fields of a message that are not null.
func copyFields(out, message *jinja.Dict) *jinja.Dict {
	for i := range message.Len() {
		if key, ok := message.Key(i).(jinja.String); ok && !isNull(message.At(i)) {
			out.Set(key.String(), message.At(i))
		}
	}
	return out
}

// aliasReasoning adds reasoning_content and thinking to a message that carries
// its reasoning under any of the known names.
func aliasReasoning(message *jinja.Dict) *jinja.Dict {
	reasoning := reasoningOf(message)
	if reasoning == nil {
		return message
	}
	out := jinja.NewDict()
	out.Set("thinking", reasoning)
	copyFields(out, message)
	out.Set("reasoning_content", reasoning)
	return out
}

func reasoningOf(message *jinja.Dict) jinja.Value {
	for _, name := range reasoningFields {
		if v, ok := message.Get(name); ok {
			return v
		}
	}
	return nil
}

func listOrNone(items []jinja.Value) jinja.Value {
	if items == nil {
		return jinja.None{}
	}
	return jinja.NewList(items...)
}
