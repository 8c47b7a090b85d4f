package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/svc"
	"github.com/nanofleet/nanofleet/testing/built"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// binary is built once for all tests.
var binary string

func TestMain(m *testing.M) { built.Main(m, &binary, func() bool { return true }) }

// fleet is one that `nanofleet up` runs in the background.
type fleet struct {
	t    *testing.T
	data string
	base string
	key  string

	program string // "": binary
}

// patience bounds every wait; nothing here depends on how fast the machine is.
const patience = 90 * time.Second

// up starts a fleet that serves the tiny model as "tiny".
func up(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(f.down)
	f.start()
	return f
}

// start runs `nanofleet up`; again after a stop, it finds its state.
func (f *fleet) start() {
	f.t.Helper()
	f.must("up", "--api", "127.0.0.1:0", "--model", tiny.GGUF(), "--name", "tiny", "--detach")
	f.base = strings.TrimSpace(f.read("endpoint"))
	f.key = strings.TrimSpace(f.read("api-key"))
}

func (f *fleet) read(name string) string {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.data, name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

// down stops the fleet, shows its logs when the test failed, and checks that no
// process is left.
func (f *fleet) down() {
	processes := f.processes()
	out, code := f.cli("down")
	if code != 0 {
		f.t.Errorf("down: exit %d: %s", code, out)
	}
	for name, p := range processes {
		if p.Running() {
			f.t.Errorf("%s (pid %d) outlives down", name, p.PID)
		}
	}
	if f.t.Failed() {
		f.showLogs()
	}
}

func (f *fleet) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(f.data, "log", "*.log"))
	more, _ := filepath.Glob(filepath.Join(f.data, "agent", "log", "*.log"))
	for _, path := range append(logs, more...) {
		b, _ := os.ReadFile(path)
		if len(b) > 4000 {
			b = b[len(b)-4000:]
		}
		f.t.Logf("%s:\n%s", filepath.Base(path), b)
	}
}

// processes finds the roles that run now, engines included.
func (f *fleet) processes() map[string]svc.Process {
	found := map[string]svc.Process{}
	for _, pattern := range []string{"run/*.pid", "agent/run/*.pid"} {
		files, _ := filepath.Glob(filepath.Join(f.data, pattern))
		for _, file := range files {
			if p, err := svc.ReadPID(file); err == nil {
				found[strings.TrimSuffix(filepath.Base(file), ".pid")] = p
			}
		}
	}
	return found
}

// engine is the one engine process that runs.
func (f *fleet) engine() svc.Process {
	f.t.Helper()
	for name, p := range f.processes() {
		if strings.HasPrefix(name, "inst-") {
			return p
		}
	}
	f.t.Fatal("no engine runs")
	return svc.Process{}
}

// role finds "coordinator" or "agent".
func (f *fleet) role(name string) svc.Process {
	f.t.Helper()
	p, ok := f.processes()[name]
	if !ok {
		f.t.Fatalf("no %s runs", name)
	}
	return p
}

// kill ends processes as the kernel does when memory runs out, and returns once they
// are gone.
func kill(t *testing.T, ps ...svc.Process) {
	t.Helper()
	for _, p := range ps {
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range ps {
		for end := time.Now().Add(patience); p.Running(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("pid %d survives SIGKILL", p.PID)
			}
		}
	}
}

// cli runs the binary against this fleet.
func (f *fleet) cli(args ...string) (string, int) {
	program := f.program
	if program == "" {
		program = binary
	}
	cmd := exec.Command(program, append(args, "--data", f.data)...)
	out, err := cmd.CombinedOutput()
	code := 0
	if err != nil {
		code = -1
		if cmd.ProcessState != nil {
			code = cmd.ProcessState.ExitCode()
		}
	}
	return string(out), code
}

func (f *fleet) must(args ...string) string {
	f.t.Helper()
	out, code := f.cli(args...)
	if code != 0 {
		f.showLogs()
		f.t.Fatalf("nanofleet %s: exit %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

func (f *fleet) client() *api.Client { return api.NewClient(f.base, f.key, nil) }

// post sends a raw body to the API.
func (f *fleet) post(path, key string, body []byte) (int, map[string]any) {
	f.t.Helper()
	return f.request(http.MethodPost, path, key, body)
}

func (f *fleet) request(method, path, key string, body []byte) (int, map[string]any) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	var out map[string]any
	if len(b) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/") {
		if err := json.Unmarshal(b, &out); err != nil {
			f.t.Fatalf("%s: %v in %q", path, err, b)
		}
	}
	return resp.StatusCode, out
}

// ask puts one of the tiny model's questions at temperature 0.
func (f *fleet) ask(question string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	zero := 0.0
	var answer strings.Builder
	err := f.client().ChatStream(ctx, api.ChatRequest{
		Model: "tiny", Temperature: &zero, MaxTokens: 64,
		Messages: []api.ChatMessage{{Role: "user", Content: question}},
	}, func(d api.ChatDelta) error {
		answer.WriteString(d.Content)
		return nil
	})
	if err != nil {
		f.t.Fatalf("asking %q: %v", question, err)
	}
	return answer.String()
}
