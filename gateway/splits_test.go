package gateway

import (
	"bufio"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/wire"
)

// hardTexts have characters of every width, of several code points, and stop strings
// that overlap, repeat and nearly match.
var hardTexts = []string{
	"I do not know that.",
	"aaaaabaaaaab",
	"naïve café — “quoted” 東京 🙂👩‍👩‍👧 e\u0301",
	"line one\nline two\r\n\n\tend  ",
	"<|im_end|> is text </s> and so is <|im_",
	`{"a": "b\\c\"d", "e": [1, 2]}` + "\u2028\u0085\x00\x7f",
}

// reply is what a client is told, in whichever form.
type reply struct {
	Text       string
	Reason     string
	StopReason any
	Tokens     []string
	Logprobs   []float64
	Offsets    []int
	Usage      usage
}

type replyChunk struct {
	Choices []struct {
		Text       string
		Reason     string `json:"finish_reason"`
		StopReason any    `json:"stop_reason"`
		Logprobs   *struct {
			Tokens   []string
			Logprobs []float64 `json:"token_logprobs"`
			Offsets  []int     `json:"text_offset"`
		}
	}
	Usage *usage
}

// add joins a chunk to what came before it.
func (r *reply) add(t *testing.T, data string) {
	t.Helper()
	var c replyChunk
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if c.Usage != nil {
		r.Usage = *c.Usage
	}
	for _, choice := range c.Choices {
		r.Text += choice.Text
		if choice.Reason != "" {
			r.Reason, r.StopReason = choice.Reason, choice.StopReason
		}
		if l := choice.Logprobs; l != nil {
			r.Tokens, r.Logprobs, r.Offsets = append(r.Tokens, l.Tokens...), append(r.Logprobs, l.Logprobs...), append(r.Offsets, l.Offsets...)
		}
	}
}

// replies are the whole and the streamed form of one answer.
func (s *stage) replies(t *testing.T, fields map[string]any) (whole, streamed reply) {
	t.Helper()
	b, _ := json.Marshal(fields)
	whole.add(t, s.ask("POST", "/v1/completions", string(b)).Body.String())
	fields["stream"], fields["stream_options"] = true, map[string]any{"include_usage": true}
	b, _ = json.Marshal(fields)
	for sc := bufio.NewScanner(s.ask("POST", "/v1/completions", string(b)).Body); sc.Scan(); {
		if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok && data != "[DONE]" {
			streamed.add(t, data)
		}
	}
	delete(fields, "stream")
	delete(fields, "stream_options")
	return whole, streamed
}

// stopsOf are stop strings for a text: its ends, what is in its middle, what nearly is.
func stopsOf(text string) [][]string {
	r := []rune(text)
	mid := len(r) / 2
	return [][]string{
		nil,
		{string(r[0])},
		{string(r[mid-1 : mid+2])},
		{string(r[len(r)-3:])},
		{string(r[mid:mid+2]) + "~", string(r[mid+1 : mid+4]), string(r[mid+2 : mid+4])},
		{text + "!"},
	}
}

// TestStreamIsWhole cuts every text, under every stop string, between any two tokens
// and any two characters: both forms say the same, and the same as uncut.
func TestStreamIsWhole(t *testing.T) {
	s := newStage(t)
	prompt := s.actor.meta.Tokenizer.Encode("Say: ", tokenizer.EncodeOptions{AddBOS: true})
	s.actor.answers = maps.Clone(s.actor.answers)
	for _, text := range hardTexts {
		s.actor.answers[key(prompt)] = text
		for _, stops := range stopsOf(text) {
			for _, include := range []bool{false, true} {
				s.everyCut(t, text, map[string]any{
					"model": "tiny", "prompt": "Say: ", "max_tokens": 200, "logprobs": 1, "stop": stops, "include_stop_str_in_output": include,
				})
			}
		}
	}
}

func (s *stage) everyCut(t *testing.T, text string, fields map[string]any) {
	t.Helper()
	s.actor.cut = nil
	want, streamed := s.replies(t, fields)
	stops, _ := fields["stop"].([]string)
	if expected, stop := firstStop(text, stops, fields["include_stop_str_in_output"] == true); want.Text != expected || want.StopReason != stop {
		t.Fatalf("%q with %q: %q, stop reason %v; want %q, %v", text, stops, want.Text, want.StopReason, expected, stop)
	}
	if !reflect.DeepEqual(streamed, want) {
		t.Fatalf("%q with %q: streamed\n%+v\nwhole\n%+v", text, stops, streamed, want)
	}
	for at := range max(len(want.Tokens), utf8.RuneCountInString(want.Text)) + 1 {
		for name, cut := range map[string]func([]*wire.GenerateEvent) []*wire.GenerateEvent{
			"tokens": func(list []*wire.GenerateEvent) []*wire.GenerateEvent {
				n := min(at, len(list))
				return append(joined(list[:n]), joined(list[n:])...)
			},
			"characters": func(list []*wire.GenerateEvent) []*wire.GenerateEvent { return cutText(joined(list), at) },
		} {
			s.actor.cut = cut
			whole, streamed := s.replies(t, fields)
			if !reflect.DeepEqual(whole, want) || !reflect.DeepEqual(streamed, want) {
				t.Fatalf("%q with %q, %s cut at %d: whole\n%+v\nstreamed\n%+v\nwant\n%+v", text, stops, name, at, whole, streamed, want)
			}
		}
	}
}

// firstStop says, in the plainest way, how a text ends: at the stop string whose last
// byte comes first.
func firstStop(text string, stops []string, include bool) (string, any) {
	for end := range len(text) + 1 {
		longest := ""
		for _, stop := range stops {
			if strings.HasSuffix(text[:end], stop) && len(stop) > len(longest) {
				longest = stop
			}
		}
		if longest != "" {
			if include {
				return text[:end], longest
			}
			return text[:end-len(longest)], longest
		}
	}
	return text, nil
}

// joined are events made one.
func joined(list []*wire.GenerateEvent) []*wire.GenerateEvent {
	if len(list) == 0 {
		return nil
	}
	all := &wire.Tokens{}
	for _, ev := range list {
		all.Ids = append(all.Ids, ev.GetTokens().GetIds()...)
		all.Text += ev.GetTokens().GetText()
		all.Logprobs = append(all.Logprobs, ev.GetTokens().GetLogprobs()...)
	}
	return []*wire.GenerateEvent{{Event: &wire.GenerateEvent_Tokens{Tokens: all}}}
}

// cutText sends the text behind its first characters late.
func cutText(list []*wire.GenerateEvent, characters int) []*wire.GenerateEvent {
	if len(list) == 0 {
		return nil
	}
	all := list[0].GetTokens()
	r := []rune(all.GetText())
	n := min(characters, len(r))
	late := &wire.Tokens{Text: string(r[n:])}
	all.Text = string(r[:n])
	return append(list, &wire.GenerateEvent{Event: &wire.GenerateEvent_Tokens{Tokens: late}})
}
