package svc

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestPIDFileNamesOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if _, err := ReadPID(path); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("absent file: %v, want ErrNotRunning", err)
	}
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	if err := WritePID(path, self); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPID(path); err != nil || got != self {
		t.Fatalf("got %v, %v; want %v", got, err, self)
	}
	// The same pid with another start time is another process.
	other := Process{PID: self.PID, Start: self.Start + 1}
	if other.Running() {
		t.Error("a reused pid passes for the old process")
	}
	if err := other.Signal(syscall.SIGKILL); !errors.Is(err, ErrNotRunning) {
		t.Errorf("signalled a stranger: %v", err)
	}
}

func TestStopKillsWhatIgnoresTerm(t *testing.T) {
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	p, err := Describe(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	if err := p.Stop(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("still running")
	}
}

func TestSupervisorRestartsAndStops(t *testing.T) {
	dir := t.TempDir()
	s := &Supervisor{Log: slog.New(slog.DiscardHandler), Backoff: DefaultBackoff, Grace: 5 * time.Second}
	r, err := s.Start(Child{
		Name: "sleeper",
		Args: []string{"sleep", "1000"},
		Log:  filepath.Join(dir, "log", "sleeper.log"),
		PID:  filepath.Join(dir, "sleeper.pid"),
	})
	if err != nil {
		t.Fatal(err)
	}
	first := awaitPID(t, filepath.Join(dir, "sleeper.pid"), Process{})
	if err := first.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := awaitPID(t, filepath.Join(dir, "sleeper.pid"), first)
	r.Stop()
	if second.Running() {
		t.Error("the child outlives Stop")
	}
	if _, err := os.Stat(filepath.Join(dir, "sleeper.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pid file left behind: %v", err)
	}
	if r.Restarts() != 1 {
		t.Errorf("%d restarts, want 1", r.Restarts())
	}
}

func awaitPID(t *testing.T, path string, not Process) Process {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if p, err := ReadPID(path); err == nil && p != not {
			return p
		}
	}
	t.Fatalf("no process in %s", path)
	return Process{}
}

func TestStartReportsAMissingProgram(t *testing.T) {
	dir := t.TempDir()
	s := &Supervisor{Log: slog.New(slog.DiscardHandler), Backoff: DefaultBackoff, Grace: time.Second}
	_, err := s.Start(Child{Name: "none", Args: []string{filepath.Join(dir, "none")}, Log: filepath.Join(dir, "log"), PID: filepath.Join(dir, "pid")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want a missing file", err)
	}
}

func TestBackoff(t *testing.T) {
	b := Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	want := []time.Duration{0, 100, 200, 400, 800, 1000, 1000}
	for n, w := range want {
		if got := b.Next(n); got != w*time.Millisecond {
			t.Errorf("restart %d: %v, want %v", n, got, w*time.Millisecond)
		}
	}
}
