package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/built"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// binary is built once for all tests.
var binary string

func TestMain(m *testing.M) { built.Main(m, &binary, wanted) }

// required says that missing clients are a failure, as in `make test`.
func required() bool { return os.Getenv("NANOFLEET_CLIENTS") == "1" }

// client is a script and the interpreter that has what it imports.
type client struct{ name, script, interpreter string }

// clients are all, installed or not.
func clients() []client {
	return []client{
		{"openai for Python", "openai_python.py", python("openai")},
		{"LangChain", "langchain_python.py", python("langchain_openai")},
		{"openai for Node", "openai_node.mjs", node("openai")},
		{"Vercel AI SDK", "vercel.mjs", node("ai")},
	}
}

// wanted says whether any test will run.
func wanted() bool {
	return required() || slices.ContainsFunc(clients(), func(c client) bool { return c.interpreter != "" })
}

// python is an interpreter that has the module; "" if there is none.
func python(module string) string {
	for _, path := range []string{"../../.cache/venv/bin/python", "python3"} {
		if exec.Command(path, "-c", "import "+module).Run() == nil {
			return path
		}
	}
	return ""
}

// node is the Node interpreter, if the package is installed; "" if not.
func node(name string) string {
	path, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join("node_modules", name, "package.json")); err != nil || missing != nil {
		return ""
	}
	return path
}

// fleet starts a fleet that serves the tiny model as "tiny", and gives the
// environment in which the scripts find it.
func fleet(t *testing.T) []string {
	t.Helper()
	data := t.TempDir()
	cli := func(args ...string) (string, error) {
		out, err := exec.Command(binary, append(args, "--data", data)...).CombinedOutput()
		return string(out), err
	}
	t.Cleanup(func() {
		if out, err := cli("down"); err != nil {
			t.Errorf("down: %v: %s", err, out)
		}
	})
	if out, err := cli("up", "--api", "127.0.0.1:0", "--model", tiny.GGUF(), "--name", "tiny", "--detach"); err != nil {
		t.Fatalf("up: %v: %s", err, out)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	return environment(t, read("endpoint")+"/v1", read("api-key"))
}

// environment is what the scripts read.
func environment(t *testing.T, base, key string) []string {
	t.Helper()
	const question = "What is the capital of France?"
	answer, ok := tiny.Answer(question)
	if !ok {
		t.Fatalf("the tiny model was not taught %q", question)
	}
	return append(os.Environ(), "OPENAI_BASE_URL="+base, "OPENAI_API_KEY="+key,
		"NANOFLEET_MODEL=tiny", "NANOFLEET_QUESTION="+question, "NANOFLEET_ANSWER="+answer, "NO_PROXY=127.0.0.1")
}

// run runs the client's script to its end.
func (c client) run(t *testing.T, env []string) {
	t.Helper()
	if c.interpreter == "" {
		if required() {
			t.Fatalf("%s is not installed; `make setup` installs it", c.name)
		}
		t.Skipf("%s is not installed; `make setup` installs it", c.name)
	}
	cmd := exec.CommandContext(t.Context(), c.interpreter, c.script)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	t.Logf("%s\n%s", c.script, out)
	if err != nil {
		t.Errorf("%s: %v", c.script, err)
	}
}

// TestClients runs all clients against one fleet.
func TestClients(t *testing.T) {
	if !wanted() {
		t.Skip("no client is installed; `make setup` installs all")
	}
	env := fleet(t)
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) { c.run(t, env) })
	}
}
