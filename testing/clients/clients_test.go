package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// binary is built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nanofleet-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := run(m, dir)
	os.RemoveAll(dir)
	os.Exit(code)
}

func run(m *testing.M, dir string) int {
	binary = os.Getenv("NANOFLEET_BIN")
	if binary == "" && wanted() {
		binary = filepath.Join(dir, "nanofleet")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/nanofleet")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// required says that missing clients are a failure, as in `make test`.
func required() bool { return os.Getenv("NANOFLEET_CLIENTS") == "1" }

// wanted says whether any test will run.
func wanted() bool { return required() || python() != "" || node() != "" }

// python is an interpreter that has the client; "" if there is none.
func python() string {
	for _, path := range []string{"../../.cache/venv/bin/python", "python3"} {
		if exec.Command(path, "-c", "import openai").Run() == nil {
			return path
		}
	}
	return ""
}

// node is the Node interpreter, if the client is installed; "" if not.
func node() string {
	path, err := exec.LookPath("node")
	if _, missing := os.Stat("node_modules/openai/package.json"); err != nil || missing != nil {
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

// script runs one of the scripts to its end.
func script(t *testing.T, env []string, interpreter, file string) {
	t.Helper()
	if interpreter == "" {
		if required() {
			t.Fatalf("%s: its client is not installed; `make setup` installs it", file)
		}
		t.Skipf("%s: its client is not installed; `make setup` installs it", file)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, file)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	t.Logf("%s\n%s", file, out)
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

// TestOfficialClients runs both clients against one fleet.
func TestOfficialClients(t *testing.T) {
	if !wanted() {
		t.Skip("no OpenAI client is installed; `make setup` installs both")
	}
	env := fleet(t)
	t.Run("python", func(t *testing.T) { script(t, env, python(), "clients.py") })
	t.Run("node", func(t *testing.T) { script(t, env, node(), "clients.mjs") })
}
