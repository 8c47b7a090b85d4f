package gateway

import (
	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// Bounds of chat_template_kwargs.
const (
	maxKwargs      = 64
	maxKwargsBytes = 1024 // of a name or a text
)

// ownVariables are what a template gets from us alone: names that no request may
// give, whether its template reads them or not.
var ownVariables = set("messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token",
	"chat_template", "tokenize", "conversation", "return_dict", "return_tensors", "return_assistant_tokens_mask",
	"raise_exception", "strftime_now", "range", "dict", "namespace", "loop", "self", "caller", "varargs", "kwargs")

// parseKwargs reads chat_template_kwargs, and reasoning_effort as one of them. Their
// values are single ones, and texts among them are the user's.
func (o object) parseKwargs() (map[string]any, error) {
	vars := map[string]any{}
	effort, err := o.short("reasoning_effort", maxIDBytes)
	if err != nil {
		return nil, err
	}
	if effort != "" {
		vars["reasoning_effort"] = jinja.Untrusted(effort)
	}
	more, err := o.object("chat_template_kwargs")
	if err != nil || more == nil {
		return vars, err
	}
	if n := more.dict.Len(); n > maxKwargs {
		return nil, bad("chat_template_kwargs", "%d variables. Expected at most %d.", n, maxKwargs)
	}
	for i := range more.dict.Len() {
		name := more.dict.Key(i).(jinja.String).String()
		if err := more.checkKwarg(name, more.dict.At(i)); err != nil {
			return nil, err
		}
		vars[name] = more.dict.At(i)
	}
	return vars, nil
}

func (o object) checkKwarg(name string, v jinja.Value) error {
	if ownVariables[name] {
		return bad(o.path+name, "this variable of the chat template cannot be replaced.")
	}
	if len(name) > maxKwargsBytes {
		return bad("chat_template_kwargs", "a name of %d bytes. Expected at most %d.", len(name), maxKwargsBytes)
	}
	switch v := v.(type) {
	case jinja.None, jinja.Bool, jinja.Int, jinja.Float:
		return nil
	case jinja.String:
		if n := len(v.String()); n > maxKwargsBytes {
			return bad(o.path+clip(name), "a string of %d bytes. Expected at most %d.", n, maxKwargsBytes)
		}
		return nil
	}
	return wrongItem(o.path+clip(name), "a string, a number, a boolean or null", v)
}

// known are the variables that a template reads: the others would change nothing, and
// a template's interpreter gets no name that its author has not foreseen.
func known(t *chat.Template, vars map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range vars {
		if t.Reads(name) {
			out[name] = v
		}
	}
	return out
}
