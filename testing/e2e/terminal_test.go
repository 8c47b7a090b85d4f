package e2e

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// typist is a person at a terminal who runs the binary.
type typist struct {
	t   *testing.T
	cmd *exec.Cmd
	tty *os.File

	mu   sync.Mutex
	seen strings.Builder
	read int // how much of seen was waited for
	over chan struct{}
}

// at begins a command at a terminal of its own.
func at(t *testing.T, f *fleet, args ...string) *typist {
	t.Helper()
	cmd := exec.Command(f.program, append(args, "--data", f.data)...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "XDG_STATE_HOME="+f.data)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	p := &typist{t: t, cmd: cmd, tty: tty, over: make(chan struct{})}
	go p.watch()
	t.Cleanup(func() { _ = cmd.Process.Kill(); tty.Close() })
	return p
}

func (p *typist) watch() {
	defer close(p.over)
	b := make([]byte, 4096)
	for {
		n, err := p.tty.Read(b)
		p.mu.Lock()
		p.seen.Write(b[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// see waits until the screen shows text, after what was seen before.
func (p *typist) see(text string) string {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		all := p.seen.String()
		p.mu.Unlock()
		if at := strings.Index(all[p.read:], text); at >= 0 {
			before := all[p.read : p.read+at]
			p.read += at + len(text)
			return before
		}
		if time.Now().After(end) {
			p.t.Fatalf("the screen does not show %q after:\n%q", text, all[p.read:])
		}
	}
}

func (p *typist) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.tty, keys); err != nil {
		p.t.Fatal(err)
	}
}

// left waits for the program's end and gives its exit code.
func (p *typist) left() int {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			p.t.Fatal(err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("the program goes on; the screen shows %q", p.seen.String())
		return -1
	}
}

// Keys.
const (
	enter    = "\r"
	altEnter = "\x1b\r"
	ctrlC    = "\x03"
	ctrlD    = "\x04"
	arrowUp  = "\x1b[A"
)

// TestChatAtATerminal talks as a person does: stops an answer and goes on, brings back
// a line, writes several lines, drops one, and leaves in each way.
func TestChatAtATerminal(t *testing.T) {
	t.Setenv("NANOFLEET_TEST_STEP_MS", "30")
	f := &fleet{t: t, data: t.TempDir(), program: faulty(t)}
	t.Cleanup(f.down)
	f.start()
	p := at(t, f, "chat", "--temperature", "0", "--stats")
	p.see("Talking with tiny.")
	p.see("> ")

	p.press("Count to one hundred." + enter)
	p.see("two, three")
	p.press(ctrlC)
	if rest := p.see("(stopped)"); strings.Contains(rest, "hundred") {
		t.Errorf("Ctrl-C let the answer come to its end: %q", rest)
	}
	p.see("> ")

	p.press("/clear" + enter)
	p.see("> ")
	p.press("My favourite colour is green." + enter)
	p.see("I will remember that.")
	p.see("tok/s")
	p.see("> ")
	p.press("What is my favourite colour?" + enter)
	p.see("Your favourite colour is green.")
	p.see("> ")

	p.press("never sent" + ctrlC)
	p.see("^C")
	p.see("> ")
	p.press(arrowUp)
	p.see("What is my favourite colour?")
	p.press(enter)
	p.see("Your favourite colour is green.")
	p.see("> ")

	p.press("/clear" + enter + "/system one" + altEnter)
	p.see("... ")
	p.press("two" + enter)
	p.see("> ")
	p.press("/sistem" + enter)
	p.see("/system")
	p.see("> ")
	p.press(`"""` + enter)
	p.see("... ")
	p.press("Hello!" + enter)
	p.see("... ")
	p.press(`"""` + enter)
	p.see("Hello! How can I help you?")
	p.see("> ")

	saved := filepath.Join(f.data, "talk.json")
	p.press("/save " + saved + enter)
	p.see("goes on with it")
	p.see("> ")
	p.press(ctrlC)
	p.see("once more")
	p.see("> ")
	p.press(ctrlC)
	if code := p.left(); code != 0 {
		t.Errorf("left with %d", code)
	}
	b, err := os.ReadFile(saved)
	if err != nil || !strings.Contains(string(b), "How can I help you?") {
		t.Errorf("saved %q, %v", b, err)
	}
	f.historyIsKept()

	p = at(t, f, "chat", "--temperature", "0")
	p.see("> ")
	p.press("/load " + saved + enter)
	p.see("messages, with tiny")
	p.see("> ")
	p.press(strings.Repeat(arrowUp, 4)) // load, save, the end of the block, and then
	p.see("Hello!")
	p.press(ctrlC)
	p.see("> ")
	p.press(ctrlD)
	if code := p.left(); code != 0 {
		t.Errorf("Ctrl-D left with %d", code)
	}

	p = at(t, f, "chat")
	p.see("> ")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.left(); code == 0 {
		t.Error("a chat that was told to end says it went well")
	}
}

// historyIsKept checks the file that earlier lines come from.
func (f *fleet) historyIsKept() {
	f.t.Helper()
	path := filepath.Join(f.data, "nanofleet", "chat-history")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		f.t.Errorf("%v, %v; want mode 0600", info, err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), "My favourite colour is green.\n") || strings.Contains(string(b), "never sent") {
		f.t.Errorf("history %q, %v", b, err)
	}
}
