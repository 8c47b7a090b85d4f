package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nanofleet/nanofleet/internal/svc"
)

const (
	connectTimeout = 15 * time.Second       // for a started engine to listen
	connectEvery   = 10 * time.Millisecond  // between attempts
	lookEvery      = 250 * time.Millisecond // at a process that is not our child
	killWait       = 5 * time.Second        // for the kernel to end what was killed
)

// process is one engine process.
type process struct {
	svc.Process
	gone chan struct{} // closed once it has ended
	exit error         // how it ended, as far as known; read after gone
}

// spawn starts an engine for an instance. It gets a session of its own, so that
// nothing that ends the agent ends it too.
func (f *files) spawn(argv []string, instance string, orphan time.Duration) (*process, error) {
	log, err := f.openLog(instance)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// A socket that a dead engine left would refuse, or worse, be taken for the new one's.
	if err := os.Remove(filepath.Join(f.run, socket(instance))); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := append(argv[1:len(argv):len(argv)], "--socket", socket(instance), "--orphan-timeout", orphan.String())
	cmd := exec.Command(argv[0], args...)
	cmd.Dir = f.run
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{gone: make(chan struct{})}
	go func() {
		p.exit = cmd.Wait()
		close(p.gone)
	}()
	if p.Process, err = svc.Describe(cmd.Process.Pid); err != nil {
		<-p.gone
		return nil, fmt.Errorf("the engine ended at once: %w", p.reason())
	}
	if err := svc.WritePID(f.pid(instance), p.Process); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// adopt watches a process that an earlier agent started, until ctx ends.
func adopt(ctx context.Context, known svc.Process) *process {
	p := &process{Process: known, gone: make(chan struct{})}
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for p.Running() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		close(p.gone)
	}()
	return p
}

// reason says how the process ended.
func (p *process) reason() error {
	if p.exit == nil {
		return errors.New("it exited")
	}
	return p.exit
}

// kill ends the process and waits for it.
func (p *process) kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, svc.ErrNotRunning) {
		return err
	}
	if !p.await(killWait) {
		return fmt.Errorf("pid %d does not end", p.PID)
	}
	return nil
}

// await waits for the process to end by itself.
func (p *process) await(limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.gone:
		return true
	case <-t.C:
		return !p.Running()
	}
}

// connect dials the engine's socket as soon as it listens.
func (f *files) connect(ctx context.Context, p *process, instance string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for {
		c, err := f.dial(ctx, instance)
		if err == nil {
			return c, nil
		}
		select {
		case <-p.gone:
			return nil, fmt.Errorf("the engine ended before it listened: %w", p.reason())
		case <-ctx.Done():
			return nil, fmt.Errorf("the engine does not listen: %w", err)
		case <-time.After(connectEvery):
		}
	}
}
