package chat

import (
	"strings"
	"unicode"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// continueTag is put behind the final message before rendering; the prompt
// ends where it comes out.
const continueTag = "CONTINUE_FINAL_MESSAGE_TAG "

// tagFinal replaces the last message by one whose text ends in continueTag, and
// returns that text without the tag.
func (t *Template) tagFinal(vars map[string]jinja.Value) (string, error) {
	messages := vars["messages"].(*jinja.List).Items()
	if len(messages) == 0 {
		return "", &InputError{"continue_final_message is set but the conversation is empty!"}
	}
	if !strings.Contains(t.source, "content") {
		return "", &InputError{`continue_final_message is set to "content" but this is not an accepted field in the chat_template`}
	}
	final := messages[len(messages)-1].(*jinja.Dict)
	content, _ := final.Get("content")
	tagged, text, err := tag(content)
	if err != nil {
		return "", err
	}
	final = final.Clone()
	final.Set("content", tagged)
	vars["messages"] = jinja.NewList(append(messages[:len(messages)-1:len(messages)-1], final)...)
	return text, nil
}

// tag adds continueTag to a message's text, or to the last of its text parts.
func tag(content jinja.Value) (tagged jinja.Value, text string, err error) {
	switch content := content.(type) {
	case jinja.String:
		return jinja.Untrusted(content.String() + continueTag), content.String(), nil
	case *jinja.List:
		return tagParts(content)
	}
	return nil, "", &InputError{`continue_final_message is set but the final message has no "content" to continue!`}
}

func tagParts(parts *jinja.List) (jinja.Value, string, error) {
	items := append([]jinja.Value{}, parts.Items()...)
	for i := len(items) - 1; i >= 0; i-- {
		part, ok := items[i].(*jinja.Dict)
		if !ok {
			continue
		}
		v, _ := part.Get("text")
		text, ok := v.(jinja.String)
		if !ok {
			continue
		}
		part = part.Clone()
		part.Set("text", jinja.Untrusted(text.String()+continueTag))
		items[i] = part
		return jinja.NewList(items...), text.String(), nil
	}
	return nil, "", &InputError{"continue_final_message is set but we could not find any text to continue in the final message!"}
}

// cutAtTag ends the prompt where the tag came out; final is the message's own
// text, which must have come out too.
func cutAtTag(segments []Segment, final string) ([]Segment, error) {
	text := join(segments)
	bare := strings.TrimSpace(continueTag)
	at := strings.LastIndex(text, bare)
	if at < 0 || !strings.Contains(text, strings.TrimSpace(final)) {
		return nil, &InputError{"continue_final_message is set but the final message does not appear in the chat after applying the chat template"}
	}
	if !strings.HasPrefix(text[at:], continueTag) { // the template trims
		at = len(strings.TrimRightFunc(text[:at], unicode.IsSpace))
	}
	return cut(segments, at), nil
}

// cut is the first n bytes of segments.
func cut(segments []Segment, n int) []Segment {
	var out []Segment
	for _, s := range segments {
		if n <= 0 {
			break
		}
		s.Text = s.Text[:min(n, len(s.Text))]
		n -= len(s.Text)
		out = append(out, s)
	}
	return out
}
