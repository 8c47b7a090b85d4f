package gateway

import (
	"fmt"
	"strings"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// maxMessages bounds a conversation.
const maxMessages = 4096

// parseMessages reads the conversation, in the form that templates know: roles of
// theirs, and each content one text.
func (o object) parseMessages() ([]jinja.Value, error) {
	items, err := o.list("messages")
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, missing("messages", "you must provide at least one message.")
	}
	if len(items) > maxMessages {
		return nil, bad("messages", "%d messages. Expected at most %d.", len(items), maxMessages)
	}
	out := make([]jinja.Value, len(items))
	for i, item := range items {
		dict, ok := item.(*jinja.Dict)
		if !ok {
			return nil, wrongItem(fmt.Sprintf("messages[%d]", i), "an object", item)
		}
		m := object{dict: dict, path: fmt.Sprintf("messages[%d].", i)}
		if out[i], err = m.message(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unservedInMessage are fields of a message that would change the prompt and are
// not served.
var unservedInMessage = []string{"tool_calls", "tool_call_id", "function_call", "audio"}

// message checks one message.
func (o object) message() (jinja.Value, error) {
	if err := o.checkCase(knownMessageFields); err != nil {
		return nil, err
	}
	for _, name := range unservedInMessage {
		if v := o.get(name); v != nil && !isEmpty(v) {
			return nil, unsupported(o.path+name, "this server does not support this parameter; leave it out.")
		}
	}
	role, err := o.role()
	if err != nil {
		return nil, err
	}
	text, err := o.content(role)
	if err != nil {
		return nil, err
	}
	m := o.dict.Clone()
	m.Set("role", jinja.Untrusted(role))
	m.Set("content", jinja.Untrusted(text))
	return m, nil
}

// role is the message's role as templates know it: developer is the newer word
// for system.
func (o object) role() (string, error) {
	role, err := o.text("role")
	switch {
	case err != nil:
		return "", err
	case role == "developer":
		return "system", nil
	case role == "system", role == "user", role == "assistant":
		return role, nil
	case role == "tool", role == "function":
		return "", unsupported(o.path+"role", "this server does not support messages of the role '%s'.", role)
	}
	return "", bad(o.path+"role", "'%s' is no role. Supported values are: 'system', 'developer', 'user' and 'assistant'.", clip(role))
}

// content is the message's text: one string, or text parts, joined by line breaks.
func (o object) content(role string) (string, error) {
	switch v := o.get("content").(type) {
	case nil:
		if role == "assistant" {
			return "", nil
		}
		return "", missing(o.path+"content", "a message of the role '%s' needs a content.", role)
	case jinja.String:
		return v.String(), nil
	case *jinja.List:
		return o.parts(v.Items())
	}
	return "", o.wrongType("content", "a string or an array of text parts")
}

func (o object) parts(items []jinja.Value) (string, error) {
	var texts []string
	for i, item := range items {
		path := fmt.Sprintf("%scontent[%d]", o.path, i)
		dict, ok := item.(*jinja.Dict)
		if !ok {
			return "", wrongItem(path, "an object", item)
		}
		part := object{dict: dict, path: path + "."}
		kind, err := part.text("type")
		if err != nil {
			return "", err
		}
		if kind != "text" {
			return "", unsupported(part.path+"type", "content parts of type '%s' are not supported; this server takes parts of type 'text'.", clip(kind))
		}
		if part.get("text") == nil {
			return "", part.wrongType("text", "a string")
		}
		text, err := part.text("text")
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n"), nil
}

// clip is a value fit to be quoted in a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
