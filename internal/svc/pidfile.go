package svc

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is what a pid file holds. Start is the kernel's start time of the process
// in clock ticks since boot (proc(5), /proc/PID/stat field 22): together with the
// pid it names one process for as long as the host is up.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// ErrNotRunning says that the process of a pid file is gone.
var ErrNotRunning = errors.New("svc: not running")

// Self describes the calling process.
func Self() (Process, error) { return Describe(os.Getpid()) }

// Describe finds the start time of a running process.
func Describe(pid int) (Process, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, fmt.Errorf("%w: pid %d", ErrNotRunning, pid)
	}
	// The command name is in parentheses and may hold anything; fields follow it.
	_, rest, ok := cutLast(string(b), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return Process{}, fmt.Errorf("svc: /proc/%d/stat has %d fields, want at least 20", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return Process{}, fmt.Errorf("%w: pid %d has ended", ErrNotRunning, pid)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return Process{}, fmt.Errorf("svc: start time of pid %d: %w", pid, err)
	}
	return Process{PID: pid, Start: start}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Running tells whether p still runs.
func (p Process) Running() bool {
	now, err := Describe(p.PID)
	return err == nil && now.Start == p.Start
}

// Signal sends sig to p, or ErrNotRunning.
func (p Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return ErrNotRunning
	}
	return syscall.Kill(p.PID, sig)
}

// Stop asks p to end, waits up to grace, then kills it. It returns once p is gone.
func (p Process) Stop(grace time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if p.waitGone(grace) {
		return nil
	}
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	if !p.waitGone(5 * time.Second) {
		return fmt.Errorf("svc: pid %d does not end", p.PID)
	}
	return nil
}

func (p Process) waitGone(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !p.Running() {
			return true
		}
	}
	return !p.Running()
}

// WritePID records p in path, whole or not at all.
func WritePID(path string, p Process) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// ReadPID reads the process that path names. ErrNotRunning when it is gone or the
// file is absent.
func ReadPID(path string) (Process, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Process{}, ErrNotRunning
	}
	if err != nil {
		return Process{}, err
	}
	var p Process
	if err := json.Unmarshal(b, &p); err != nil {
		return Process{}, fmt.Errorf("svc: pid file %s: %w", filepath.Base(path), err)
	}
	if !p.Running() {
		return p, ErrNotRunning
	}
	return p, nil
}
