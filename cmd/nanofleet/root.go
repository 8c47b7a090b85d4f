package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/words"
)

// options are the flags every verb has.
type options struct {
	data    string
	server  string
	keyFile string
	caFile  string
	json    bool
}

func newRoot() *cobra.Command {
	o := &options{}
	root := group(&cobra.Command{
		Use:   "nanofleet",
		Short: "Serve LLMs from your own machines as one fleet",
		Long: `nanofleet serves LLMs from your own machines as one fleet.

Start with ` + "`nanofleet up`" + `. Exit codes: 0 done, 1 failed, 2 wrong usage,
3 no coordinator answered, 4 the coordinator refused.`,
		Example: `  nanofleet up --model model.gguf --ask "What is the capital of France?"
  nanofleet chat
  nanofleet status --watch`,
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	f := root.PersistentFlags()
	f.StringVar(&o.data, "data", ".nanofleet", "directory of a fleet started by up: where its endpoint and key are found")
	f.StringVar(&o.server, "server", "", "coordinator's address, as in http://host:8080 (env NANOFLEET_SERVER)")
	f.StringVar(&o.keyFile, "key-file", "", "file that holds the API key (env NANOFLEET_API_KEY holds the key itself)")
	f.StringVar(&o.caFile, "ca-cert", "", "certificate of the fleet's authority, for an https address (env NANOFLEET_CA_CERT; default: ca.crt in --data)")
	f.BoolVar(&o.json, "json", false, "print JSON for programs")
	f.VarP((*format)(&o.json), "output", "o", "table for people or json for programs")
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: "use", Title: "Use a fleet:"},
		&cobra.Group{ID: "run", Title: "Run a fleet:"},
		&cobra.Group{ID: "role", Title: "Roles, usually run as services:"},
	)
	for group, cmds := range map[string][]*cobra.Command{
		"use":  {chatCommand(o), benchCommand(o), evalCommand(o), statusCommand(o), modelCommand(o), deployCommand(o), undeployCommand(o), keyCommand(o), nodeCommand(o), tokenCommand(o)},
		"run":  {upCommand(o), downCommand(o)},
		"role": {coordinatorCommand(), agentCommand(), engineCommand()},
	} {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.AddCommand(versionCommand(o))
	return root
}

// format is --output; --json is short for one of its values.
type format bool

func (f *format) String() string {
	if *f {
		return "json"
	}
	return "table"
}

// Set takes one of the two.
func (f *format) Set(s string) error {
	if s != "json" && s != "table" {
		return fmt.Errorf("must be table or json")
	}
	*f = s == "json"
	return nil
}

// Type names the values in help.
func (f *format) Type() string { return "table|json" }

// group makes c a command that only holds others: alone it lists them, and what it
// does not hold is wrong usage rather than a reason to print help.
func group(c *cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if best := nearest(args[0], commandNames(c)); best != "" {
			hint = fmt.Sprintf(", perhaps you mean %q", best)
		}
		return usagef("%s has no command %q%s; see `%s --help`", c.CommandPath(), args[0], hint, c.CommandPath())
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

func commandNames(c *cobra.Command) (list []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, sub.Name())
		}
	}
	return list
}

// exactly wants n arguments, none of them empty, and says which.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s wants %s; got %s, see `%s --help`", c.CommandPath(), names, words.Count(len(args), "argument"), c.CommandPath())
		}
		if slices.Contains(args, "") {
			return usagef("%s wants %s; got an empty one, see `%s --help`", c.CommandPath(), names, c.CommandPath())
		}
		return nil
	}
}

// need wants flags that have no default.
func need(c *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if f := c.Flag(name); f.Value.String() == "" {
			return usagef("%s wants --%s: %s; see `%s --help`", c.CommandPath(), name, f.Usage, c.CommandPath())
		}
	}
	return nil
}

// Files that `up` leaves in its data directory for the other verbs.
const (
	endpointFile = "endpoint"
	keyFileName  = "api-key"
)

// client finds the coordinator and the key: flags, then the environment, then the
// data directory.
func (o *options) client() (*api.Client, error) {
	server, err := o.findServer()
	if err != nil {
		return nil, err
	}
	key, err := o.findKey()
	if err != nil {
		return nil, err
	}
	rt, err := o.transport(server)
	if err != nil {
		return nil, err
	}
	return api.NewClient(server, key, rt), nil
}

func (o *options) findServer() (string, error) {
	for _, s := range []string{o.server, os.Getenv("NANOFLEET_SERVER")} {
		if s != "" {
			return checkServer(withScheme(s))
		}
	}
	b, err := os.ReadFile(filepath.Join(o.data, endpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", usagef("no fleet found in %s: run `nanofleet up`, or name a coordinator with --server", o.data)
	}
	return strings.TrimSpace(string(b)), err
}

func withScheme(s string) string {
	if strings.Contains(s, "://") {
		return s
	}
	return "http://" + s
}

// checkServer refuses what is no address of a coordinator.
func checkServer(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", usagef("server %q: %w; want http://host:port", s, errors.Unwrap(err))
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", usagef("server %q: want http://host:port or https://host:port", s)
	}
	return s, nil
}

func (o *options) findKey() (string, error) {
	if o.keyFile == "" {
		if k := os.Getenv("NANOFLEET_API_KEY"); k != "" {
			return k, nil
		}
	}
	path := o.keyFile
	if path == "" {
		path = filepath.Join(o.data, keyFileName)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && o.keyFile == "" {
		return "", usagef("no API key: set NANOFLEET_API_KEY, or name a file with --key-file")
	}
	if err != nil {
		return "", usagef("--key-file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
