package svc

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Child is a process to keep alive.
type Child struct {
	Name string
	Args []string // program and its arguments
	Log  string   // file that its output is appended to
	PID  string   // file that names it while it runs
}

// Backoff between restarts: none at first, then doubling from Min to Max; a child
// that lived for Healthy starts over.
type Backoff struct {
	Min, Max, Healthy time.Duration
}

// DefaultBackoff suits daemons of one host.
var DefaultBackoff = Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second, Healthy: 10 * time.Second}

// Next gives the pause before restart n (from 0).
func (b Backoff) Next(n int) time.Duration {
	if n == 0 {
		return 0
	}
	d := b.Min
	for range n - 1 {
		if d *= 2; d >= b.Max {
			return b.Max
		}
	}
	return min(d, b.Max)
}

// Supervisor keeps children alive: one that ends is started again. Children get
// SIGTERM when the supervisor itself dies, so that none is left behind.
type Supervisor struct {
	Log     *slog.Logger
	Backoff Backoff
	Grace   time.Duration // between SIGTERM and SIGKILL when stopping
}

// Running is a supervised child.
type Running struct {
	child Child
	stop  context.CancelFunc
	done  chan struct{}

	mu       sync.Mutex
	restarts int
}

// Restarts counts how often the child was started again.
func (r *Running) Restarts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.restarts
}

// Stop ends the child for good and waits for it.
func (r *Running) Stop() {
	r.stop()
	<-r.done
}

// Start starts a child and keeps it alive until Stop. The first start's failure is
// returned; later ones are logged and tried again.
func (s *Supervisor) Start(c Child) (*Running, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{child: c, stop: cancel, done: make(chan struct{})}
	first := make(chan error, 1)
	go s.keep(ctx, r, first)
	if err := <-first; err != nil {
		cancel()
		<-r.done
		return nil, err
	}
	return r, nil
}

// keep runs the child again and again. It owns an OS thread: the kernel sends the
// parent-death signal when the thread that forked ends (prctl(2)), not the process.
func (s *Supervisor) keep(ctx context.Context, r *Running, first chan<- error) {
	defer close(r.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, err := s.spawn(r.child)
	first <- err
	if err != nil {
		return
	}
	for n := 0; ; n++ {
		began := time.Now()
		if err == nil {
			err = s.await(ctx, r.child, cmd)
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= s.Backoff.Healthy {
			n = 0
		}
		pause := s.Backoff.Next(n)
		s.Log.Warn("child ended; starting it again", "child", r.child.Name, "reason", err, "pause", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		r.mu.Lock()
		r.restarts++
		r.mu.Unlock()
		cmd, err = s.spawn(r.child)
	}
}

func (s *Supervisor) spawn(c Child) (*exec.Cmd, error) {
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o700); err != nil {
		return nil, err
	}
	log, err := openLog(c.Log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: a terminal's ^C reaches the supervisor alone, which then
	// stops its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if p, err := Describe(cmd.Process.Pid); err == nil {
		if err := WritePID(c.PID, p); err != nil {
			s.Log.Warn("cannot write pid file", "child", c.Name, "error", err)
		}
	}
	return cmd, nil
}

// logMax is how large a log may be when its child starts; a larger one is kept beside
// it until the next such start.
const logMax = 32 << 20

func openLog(path string) (*os.File, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > logMax {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// await waits for the child to end, or ends it when ctx is done.
func (s *Supervisor) await(ctx context.Context, c Child, cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return reason(err)
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(s.Grace):
		s.Log.Warn("child does not end; killing it", "child", c.Name, "grace", s.Grace)
		_ = cmd.Process.Kill()
		<-ended
	}
	_ = os.Remove(c.PID)
	return nil
}

// errExited tells a clean exit, which a daemon is not meant to make.
var errExited = errors.New("exit status 0")

func reason(err error) error {
	if err == nil {
		return errExited
	}
	return err
}
