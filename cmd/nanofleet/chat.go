package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nanofleet/nanofleet/api"
)

func chatCommand(o *options) *cobra.Command {
	var req api.ChatRequest
	var system string
	var temperature float64
	cmd := &cobra.Command{
		Use:   "chat [MODEL]",
		Short: "Talk with a model; it remembers the conversation",
		Long: `Talk with a model; it remembers the conversation until you leave.
/new starts over, /quit or an end of input leaves. Input from a pipe is read line by
line; with --json each answer is one line of JSON.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("chat wants at most one model; got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if req.Model, err = pickModel(c.Context(), client, args); err != nil {
				return err
			}
			if c.Flags().Changed("temperature") {
				if !(temperature >= 0 && temperature <= 2) {
					return usagef("--temperature %g: must be 0 to 2", temperature)
				}
				req.Temperature = &temperature
			}
			s := session{client: client, req: req, system: system, out: c.OutOrStdout(), json: o.json}
			return s.loop(c.Context(), c.InOrStdin())
		},
	}
	f := cmd.Flags()
	f.StringVar(&system, "system", "", "instructions for the model")
	f.Float64Var(&temperature, "temperature", 1, "0 takes the likeliest token, higher is more varied")
	f.IntVar(&req.MaxTokens, "max-tokens", 0, "longest answer (default: up to the context's end)")
	return cmd
}

// pickModel takes the one named, or the only one served.
func pickModel(ctx context.Context, client *api.Client, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	names, err := client.ServedModels(ctx)
	if err != nil {
		return "", err
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no model is deployed; see `nanofleet deploy --help`")
	case 1:
		return names[0], nil
	}
	return "", usagef("which model? one of %s", strings.Join(names, ", "))
}

// session is one conversation.
type session struct {
	client *api.Client
	req    api.ChatRequest
	system string
	out    io.Writer
	json   bool
}

func (s *session) loop(ctx context.Context, in io.Reader) error {
	prompt := isTerminal(in)
	s.reset()
	if prompt {
		fmt.Fprintf(s.out, "Talking with %s. /new starts over, /quit leaves.\n", s.req.Model)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for {
		if prompt {
			fmt.Fprint(s.out, "> ")
		}
		if !lines.Scan() {
			return lines.Err()
		}
		switch text := strings.TrimSpace(lines.Text()); text {
		case "":
		case "/quit", "/exit":
			return nil
		case "/new":
			s.reset()
		default:
			err := s.turn(ctx, text)
			if err != nil && (!prompt || ctx.Err() != nil) {
				return err
			}
			if err != nil { // the conversation goes on
				fmt.Fprintln(os.Stderr, "nanofleet:", err)
			}
		}
	}
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s *session) reset() {
	s.req.Messages = nil
	if s.system != "" {
		s.req.Messages = append(s.req.Messages, api.ChatMessage{Role: "system", Content: s.system})
	}
}

// turn sends what was said so far and the new text, and remembers both the text and
// the answer once it is whole.
func (s *session) turn(ctx context.Context, text string) error {
	req := s.req
	req.Messages = append(slices.Clip(s.req.Messages), api.ChatMessage{Role: "user", Content: text})
	var answer strings.Builder
	err := s.client.ChatStream(ctx, req, func(d api.ChatDelta) error {
		answer.WriteString(d.Content)
		return s.show(d.Content)
	})
	if answer.Len() > 0 && !s.json {
		fmt.Fprintln(s.out)
	}
	if err != nil {
		return err
	}
	said := api.ChatMessage{Role: "assistant", Content: answer.String()}
	s.req.Messages = append(req.Messages, said)
	if s.json {
		return json.NewEncoder(s.out).Encode(said)
	}
	return nil
}

// show prints text as it comes; JSON waits for the whole answer.
func (s *session) show(text string) error {
	if s.json {
		return nil
	}
	_, err := io.WriteString(s.out, text)
	return err
}
