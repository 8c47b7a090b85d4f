package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/words"
)

func chatCommand(o *options) *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat [MODEL]",
		Short: "Talk with a model; it remembers the conversation",
		Long: `Talk with a model; it remembers the conversation until you leave.

On a terminal, Ctrl-C stops the answer and the conversation goes on; twice at an
empty prompt, or Ctrl-D, leaves. Arrow keys bring back what was typed before, in this
chat and in earlier ones. A line that ends with \, Alt-Enter, a paste and a block
between lines of """ make a message of several lines. /help lists what else there is.

Input from a pipe is read in the same way, message by message; with --json each answer
is one line of JSON.`,
		Example: `  nanofleet chat
  nanofleet chat my-llama --system "You answer in one sentence." --temperature 0.2
  echo "What is the capital of France?" | nanofleet chat my-llama`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("chat wants at most one model; got %s, see `%s --help`", words.Count(len(args), "argument"), c.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: completeFirst(o, servedNames),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := f.session(c, o, args)
			if err != nil {
				return err
			}
			in, err := f.input(c)
			if err != nil {
				return err
			}
			defer in.Close()
			return s.loop(c.Context(), in)
		},
	}
	f.define(cmd)
	return cmd
}

// chatFlags are the settings a conversation begins with.
type chatFlags struct {
	system      string
	temperature float64
	topP        float64
	seed        int64
	maxTokens   int
	stats       bool
	history     string
}

func (f *chatFlags) define(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.system, "system", "", "instructions for the model")
	fs.Float64Var(&f.temperature, "temperature", 1, "0 takes the likeliest token, higher is more varied")
	fs.Float64Var(&f.topP, "top-p", 1, "takes from the likeliest tokens that together have this probability")
	fs.Int64Var(&f.seed, "seed", 0, "makes answers repeatable (default: another one each time)")
	fs.IntVar(&f.maxTokens, "max-tokens", 0, "longest answer (default: up to the context's end)")
	fs.BoolVar(&f.stats, "stats", false, "say after each answer how fast it came")
	fs.StringVar(&f.history, "history", historyPath(), "file, readable by you alone, that keeps what you type at the prompt; empty keeps nothing")
}

// session begins the conversation that the flags ask for.
func (f *chatFlags) session(c *cobra.Command, o *options, args []string) (*session, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	s := &session{client: client, out: c.OutOrStdout(), errs: c.ErrOrStderr(), json: o.json, stats: f.stats}
	for _, name := range []string{"temperature", "top-p", "seed", "max-tokens"} {
		if !c.Flags().Changed(name) {
			continue
		}
		if err := s.set(strings.ReplaceAll(name, "-", "_"), c.Flag(name).Value.String()); err != nil {
			return nil, usagef("--%s: %w", name, err)
		}
	}
	s.system = f.system
	s.clear()
	s.req.Model, err = pickModel(c.Context(), client, args)
	return s, err
}

// input is the terminal, or whatever standard input is.
func (f *chatFlags) input(c *cobra.Command) (input, error) {
	tty, ok := terminalOf(c.InOrStdin())
	if !ok {
		return newPipe(c.InOrStdin()), nil
	}
	h, err := openHistory(f.history)
	if err != nil {
		fmt.Fprintln(c.ErrOrStderr(), "nanofleet: what you type is not kept:", err)
	}
	return newEditor(c.Context(), tty, c.OutOrStdout(), h)
}

// pickModel takes the one named, or the only one served.
func pickModel(ctx context.Context, client *api.Client, args []string) (string, error) {
	names, err := client.ServedModels(ctx)
	if err != nil {
		return "", err
	}
	if len(args) == 1 {
		return args[0], oneOf("model", args[0], names, "see `nanofleet status`")
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no model is deployed; add one with `nanofleet model add`, then `nanofleet deploy`")
	case 1:
		return names[0], nil
	}
	return "", usagef("which model? one of %s", strings.Join(names, ", "))
}
