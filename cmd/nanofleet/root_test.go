package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nanofleet/nanofleet/api"
)

// everyCommand calls each for all commands but those that cobra brings.
func everyCommand(c *cobra.Command, each func(*cobra.Command)) {
	each(c)
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			everyCommand(sub, each)
		}
	}
}

// Every command says what it does and shows how it is called, with flags it has.
func TestEveryCommandHasAnExample(t *testing.T) {
	root := newRoot()
	everyCommand(root, func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: short %q, example %q; both must be there", c.CommandPath(), c.Short, c.Example)
		}
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			if _, after, ok := strings.Cut(line, "| "); ok {
				line = after
			}
			checkExample(t, root, c, line)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no usage", c.CommandPath(), f.Name)
			}
		})
	})
}

// checkExample finds the command that an example calls and has it read its flags.
func checkExample(t *testing.T, root, of *cobra.Command, line string) {
	t.Helper()
	words := shellWords(line)
	if len(words) == 0 || words[0] != "nanofleet" {
		t.Errorf("%s: example %q does not call nanofleet", of.CommandPath(), line)
		return
	}
	c, rest, err := root.Find(words[1:])
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil && c.Args != nil {
		err = c.Args(c, c.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: example %q: %v", of.CommandPath(), line, err)
	}
	if of.HasParent() && !of.HasSubCommands() && c != of {
		t.Errorf("%s: example %q is of %s", of.CommandPath(), line, c.CommandPath())
	}
}

// shellWords splits at spaces outside double quotes, up to a redirection.
func shellWords(line string) (words []string) {
	line, _, _ = strings.Cut(line, " > ")
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestExitCodesAreDocumented(t *testing.T) {
	help := newRoot().Long
	for _, word := range []string{"0 done", "1 failed", "2 wrong usage", "3 no coordinator answered", "4 the coordinator refused"} {
		if !strings.Contains(strings.ReplaceAll(help, "\n", " "), word) {
			t.Errorf("help does not say %q:\n%s", word, help)
		}
	}
	for want, err := range map[int]error{
		exitOK: nil, exitFailed: errors.New("x"), exitUsage: fmt.Errorf("x: %w", usagef("y")),
		exitUnreachable: fmt.Errorf("x: %w", api.ErrUnreachable), exitRefused: fmt.Errorf("x: %w", &api.Error{Status: 404}),
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

// Errors that do not say what to do get a line that does.
func TestAdvice(t *testing.T) {
	for says, err := range map[string]error{
		"--key-file":              &api.Error{Status: 401, Message: "incorrect API key"},
		"--role admin":            &api.Error{Status: 403, Message: "not yours"},
		"https://":                &api.Error{Status: 400, Message: "Client sent an HTTP request to an HTTPS server."},
		"is no coordinator":       &api.Error{Status: 404},
		"lists the models":        &api.Error{Status: 404, Message: "no", Code: "model_not_found"},
		"try again":               &api.Error{Status: 503, Message: "no instance is ready"},
		"log/coordinator.log":     &api.Error{Status: 500, Message: "internal error"},
		"--ca-cert":               x509.UnknownAuthorityError{},
		"http://":                 errors.New("http: server gave HTTP response to HTTPS client"),
		"nanofleet undeploy":      &api.Error{Status: 409, Message: `model "x": conflict: version v is used by deployment "x"`},
		"model inspect":           &api.Error{Status: 422, Message: "the files are no model that can be served: x"},
		"check the address":       &net.OpError{Op: "dial", Err: errors.New("refused")},
		"accessible to this user": &os.PathError{Op: "open", Path: "/x", Err: os.ErrPermission},
	} {
		if got := advice(fmt.Errorf("wrapped: %w", err)); !strings.Contains(got, says) {
			t.Errorf("%v: %q, want %q in it", err, got, says)
		}
	}
	if got := advice(errors.New("anything else")); got != "" {
		t.Errorf("advice on anything: %q", got)
	}
}

// A value that a flag cannot take is answered with what it takes, without the words of
// the library that reads it; a field that the fleet refuses with the flag that set it.
func TestRefusedFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"--temperature \"hot\": want a number; see `nanofleet chat --help`": {"chat", "--temperature", "hot"},
		"--seed \"1.5\": want a whole number; see":                          {"chat", "--seed", "1.5"},
		"--wait \"5\": want a time, as in 90s or 5m; see":                   {"deploy", "x", "--wait", "5"},
		"--max-running \"-1\": want a whole number from 0 on; see":          {"deploy", "x", "--max-running", "-1"},
		"--context \"0\": want a number of tokens from 1 on, as in 32768, ": {"deploy", "x", "--context", "0"},
		"--kv-bytes \"1.5\": want a size in bytes from 1 on, as in 24GiB;":  {"deploy", "x", "--kv-bytes", "1.5"},
		"--stats \"perhaps\": want true or false; see":                      {"chat", "--stats=perhaps"},
	} {
		root := newRoot()
		root.SetArgs(args)
		if err := root.Execute(); err == nil || !strings.HasPrefix(err.Error(), want) || exitCode(err) != exitUsage {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	deploy, _, err := newRoot().Find([]string{"deploy"})
	if err != nil {
		t.Fatal(err)
	}
	for message, want := range map[string]string{
		"validation failed; body.options.max_running: expected number <= 9 (got 10)": "--max-running: expected number <= 9 (got 10); see `nanofleet deploy --help`",
		"validation failed; body.replicas: expected number >= 0 (got -1)":            "--replicas: expected number >= 0 (got -1); see `nanofleet deploy --help`",
		"validation failed; body.odd: expected more":                                 "validation failed; body.odd: expected more",
		"no such model": "no such model",
	} {
		if got := byFlag(deploy, &api.Error{Status: 422, Message: message}); got.Error() != want || exitCode(got) != exitRefused {
			t.Errorf("%s: %v, want %q", message, got, want)
		}
	}
}

// Deploy reads sizes as plan does.
func TestSizesOfDeploy(t *testing.T) {
	deploy, _, err := newRoot().Find([]string{"deploy"})
	if err != nil {
		t.Fatal(err)
	}
	if err := deploy.ParseFlags([]string{"--context", "32k", "--kv-bytes", "1.5GiB"}); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"context": "32768", "kv-bytes": "1610612736"} {
		if got := deploy.Flag(flag).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", flag, got, want)
		}
	}
}

// A deployment is there once nothing else is: neither replicas of earlier options nor
// such as are on their way out.
func TestSettled(t *testing.T) {
	one := []api.Instance{{}}
	for _, c := range []struct {
		d    api.Deployment
		want bool
		says string
	}{
		{api.Deployment{Replicas: 1, Ready: 1, Instances: one}, true, "1 of 1 replica"},
		{api.Deployment{}, true, "0 of 0 replicas"},
		{api.Deployment{Replicas: 1, Ready: 1, Instances: one, Generation: 2, Placed: 2}, true, "1 of 1 replica"},
		{api.Deployment{Replicas: 1, Ready: 1, Instances: one, Generation: 2, Placed: 1}, false, "1 of 1 replica"},
		{api.Deployment{Generation: 2, Placed: 1}, false, "0 of 0 replicas"},
		{api.Deployment{Replicas: 1, Instances: one}, false, "0 of 1 replica"},
		{api.Deployment{Replicas: 1, Ready: 1, Instances: []api.Instance{{}, {}}}, false, "1 of 1 replica"},
		{api.Deployment{Replicas: 1, Ready: 3, Instances: []api.Instance{{}, {}, {}}}, false, "1 of 1 replica"},
		{api.Deployment{Replicas: 1, Ready: 1, Instances: one, Problem: "no node has a device"}, false, "1 of 1 replica"},
	} {
		if c.d.Settled() != c.want || replicas(c.d) != c.says {
			t.Errorf("%+v: settled %v, %q; want %v, %q", c.d, c.d.Settled(), replicas(c.d), c.want, c.says)
		}
	}
}

// TestPrecisionIsCompleted offers the values of flags that take one of some.
func TestPrecisionIsCompleted(t *testing.T) {
	for _, args := range [][]string{
		{"deploy", "x", "--quant", ""}, {"model", "plan", "x", "--quant", ""}, {"eval", "x", "--quant", ""}, {"bench", "--engine", "--quant", ""},
	} {
		root, out := newRoot(), &strings.Builder{}
		root.SetOut(out)
		root.SetArgs(append([]string{"__complete"}, args...))
		if err := root.Execute(); err != nil || !strings.Contains(out.String(), "int4") {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
}
