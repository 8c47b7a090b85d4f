package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/words"
)

// chatVerb is what can be done within a conversation.
type chatVerb struct {
	name, args, does string
	run              func(s *session, ctx context.Context, rest string) error
}

// chatVerbs are listed in the order of /help.
func chatVerbs() []chatVerb {
	return []chatVerb{
		{"help", "", "list these", (*session).help},
		{"clear", "", "forget what was said, but not the system prompt (also /new)", func(s *session, _ context.Context, _ string) error { s.clear(); return nil }},
		{"system", "[TEXT]", "show the system prompt, or set it", (*session).setSystem},
		{"model", "[NAME]", "show which model answers, or talk with another one", (*session).setModel},
		{"set", "[NAME VALUE]", "show the settings, or set one of " + strings.Join(settingNames, ", "), (*session).settings},
		{"stats", "", "say after each answer how fast it came, or stop doing so", (*session).toggleStats},
		{"save", "FILE", "write the conversation to a file, as JSON", (*session).save},
		{"load", "FILE", "go on with a conversation that was saved", (*session).load},
		{"quit", "", "leave (also /exit and Ctrl-D)", func(*session, context.Context, string) error { return errLeave }},
	}
}

var chatAliases = map[string]string{"new": "clear", "exit": "quit", "bye": "quit", "?": "help"}

var slashForm = regexp.MustCompile(`(?s)^/([a-z?]+)(?:[ \t]+(.*))?$`)

// slash takes a command apart. What merely begins with a slash, such as a path, is none.
func slash(text string) (name, rest string, ok bool) {
	m := slashForm.FindStringSubmatch(strings.TrimRight(text, " \t\r\n"))
	if m == nil {
		return "", "", false
	}
	return m[1], strings.TrimSpace(m[2]), true
}

func (s *session) command(ctx context.Context, name, rest string) error {
	if to := chatAliases[name]; to != "" {
		name = to
	}
	var names []string
	for _, v := range chatVerbs() {
		if v.name == name {
			return v.run(s, ctx, rest)
		}
		names = append(names, "/"+v.name)
	}
	return oneOf("command", "/"+name, names, "/help lists them; to say a line that begins with /, put a space before it")
}

func (s *session) help(context.Context, string) error {
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, v := range chatVerbs() {
		fmt.Fprintf(t, "  /%s\t%s\n", strings.TrimSpace(v.name+" "+v.args), v.does)
	}
	fmt.Fprintln(t, "  \\ at a line's end, Alt-Enter\tgo on in the next line")
	fmt.Fprintln(t, "  \"\"\"\tbegin and end a message of several lines")
	fmt.Fprintln(t, "  Ctrl-C\tstop the answer, or drop the line; twice at an empty prompt leaves")
	return t.Flush()
}

func (s *session) setSystem(_ context.Context, text string) error {
	if text == "" {
		fmt.Fprintln(s.out, dash(s.system))
		return nil
	}
	s.system = text
	said := s.req.Messages
	if len(said) > 0 && said[0].Role == "system" {
		said = said[1:]
	}
	s.req.Messages = append([]api.ChatMessage{{Role: "system", Content: text}}, said...)
	return nil
}

func (s *session) setModel(ctx context.Context, name string) error {
	names, err := s.client.ServedModels(ctx)
	if err != nil {
		return err
	}
	if name == "" {
		fmt.Fprintf(s.out, "%s, of %s\n", s.req.Model, strings.Join(names, ", "))
		return nil
	}
	if err := oneOf("model", name, names, "/model lists them"); err != nil {
		return err
	}
	s.req.Model = name
	return nil
}

func (s *session) toggleStats(context.Context, string) error {
	s.stats = !s.stats
	return nil
}

var settingNames = []string{"temperature", "top_p", "seed", "max_tokens"}

func (s *session) settings(_ context.Context, rest string) error {
	if rest == "" {
		fmt.Fprintf(s.out, "temperature %s, top_p %s, seed %s, max_tokens %s\n", shown(s.req.Temperature), shown(s.req.TopP), shown(s.req.Seed),
			shown(zeroIsNone(s.req.MaxTokens)))
		return nil
	}
	words := strings.Fields(rest)
	if len(words) != 2 {
		return fmt.Errorf("/set wants a name and a value, as in /set temperature 0.2; got %q", rest)
	}
	return s.set(words[0], words[1])
}

func zeroIsNone(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

func shown[T any](v *T) string {
	if v == nil {
		return "default"
	}
	return fmt.Sprint(*v)
}

// set gives one setting a value within its bounds.
func (s *session) set(name, value string) error {
	switch name {
	case "temperature":
		return setFloat(&s.req.Temperature, value, 0, 2)
	case "top_p":
		return setFloat(&s.req.TopP, value, 0, 1)
	case "seed":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%q: must be a whole number", value)
		}
		s.req.Seed = &n
	case "max_tokens":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%q: must be a whole number, 0 for no bound", value)
		}
		s.req.MaxTokens = n
	default:
		return oneOf("setting", name, settingNames, "as in /set temperature 0.2")
	}
	return nil
}

func setFloat(to **float64, value string, least, most float64) error {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v >= least && v <= most) {
		return fmt.Errorf("%q: must be %g to %g", value, least, most)
	}
	*to = &v
	return nil
}

// saved is a conversation in a file.
type saved struct {
	Model    string            `json:"model"`
	Messages []api.ChatMessage `json:"messages"`
}

func (s *session) save(_ context.Context, path string) error {
	if path == "" {
		return fmt.Errorf("/save wants a file, as in /save talk.json")
	}
	b, err := json.MarshalIndent(saved{s.req.Model, s.req.Messages}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(s.errs, "the conversation (%s) is in %s; /load %s goes on with it\n", words.Count(len(s.req.Messages), "message"), path, path)
	return nil
}

// savedMax bounds what is read of a file.
const savedMax = 16 << 20

func (s *session) load(_ context.Context, path string) error {
	if path == "" {
		return fmt.Errorf("/load wants a file that /save has written")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var in saved
	if err := json.NewDecoder(io.LimitReader(f, savedMax)).Decode(&in); err != nil {
		return fmt.Errorf("%s is no conversation that /save has written: %w", path, err)
	}
	s.req.Messages, s.system = in.Messages, ""
	if len(in.Messages) > 0 && in.Messages[0].Role == "system" {
		s.system = in.Messages[0].Content
	}
	fmt.Fprintf(s.errs, "%s, with %s; %s goes on\n", words.Count(len(in.Messages), "message"), dash(in.Model), s.req.Model)
	return nil
}
