package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/obs"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/svc"
)

// Files in the data directory of `up`.
const (
	upPID     = "run/up.pid"
	upLock    = "run/up.lock"
	portsFile = "ports.json"
)

// localFleet is the supervised fleet of one host.
type localFleet struct {
	data        string
	lock        *os.File
	log         *slog.Logger
	super       *svc.Supervisor
	coordinator *svc.Running
	agent       *svc.Running
}

// ports that the roles of one host find each other by; kept so that a restarted
// role meets the others where they were.
type ports struct {
	Fleet   string `json:"fleet"`   // QUIC and TLS of coordinator
	Metrics string `json:"metrics"` // plain HTTP, loopback
}

// startFleet starts coordinator and agent and keeps them alive.
func startFleet(data string, u *upFlags) (*localFleet, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	if err := makeDir(data, "run"); err != nil {
		return nil, err
	}
	f := &localFleet{data: data, log: obs.Logger(os.Stderr, slog.LevelInfo, "up")}
	f.super = &svc.Supervisor{Log: f.log, Backoff: svc.DefaultBackoff, Grace: 20 * time.Second}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := f.start(u); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// makeDir makes a directory within the data directory.
func makeDir(data, name string) error {
	if err := os.MkdirAll(filepath.Join(data, name), 0o700); err != nil {
		return fmt.Errorf("--data %s: %w; name a directory that this user can write to", data, err)
	}
	return nil
}

// takeLock makes sure that only one `up` works on a data directory.
func (f *localFleet) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(f.data, upLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return fmt.Errorf("a fleet runs from %s already; stop it with `nanofleet down --data %s`", f.data, f.data)
	}
	f.lock = lock
	return nil
}

func (f *localFleet) start(u *upFlags) error {
	p, err := f.ports()
	if err != nil {
		return err
	}
	if err := f.startCoordinator(u, p); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.data, endpointFile), []byte(u.endpoint()+"\n"), 0o600); err != nil {
		return err
	}
	if err := f.startAgent(p); err != nil {
		return err
	}
	self, err := svc.Self()
	if err != nil {
		return err
	}
	return svc.WritePID(filepath.Join(f.data, upPID), self)
}

func (f *localFleet) child(name string, args ...string) (svc.Child, error) {
	self, err := os.Executable()
	return svc.Child{
		Name: name,
		Args: append([]string{self, name}, args...),
		Log:  filepath.Join(f.data, "log", name+".log"),
		PID:  filepath.Join(f.data, "run", name+".pid"),
	}, err
}

func (f *localFleet) startCoordinator(u *upFlags, p ports) error {
	if err := canListenTCP(u.api); err != nil {
		return fmt.Errorf("%w; choose another with --api", err)
	}
	if err := leaveOwnCert(f.data, u.tlsCert); err != nil {
		return err
	}
	args := []string{
		"--data", filepath.Join(f.data, "coordinator"), "--api", u.api, "--listen", p.Fleet,
		"--metrics", p.Metrics, "--bootstrap", "--admin-key-file", filepath.Join(f.data, keyFileName),
		"--ca-file", filepath.Join(f.data, caFile),
	}
	if u.tlsCert != "" {
		args = append(args, "--tls-cert", u.tlsCert, "--tls-key", u.tlsKey)
	}
	c, err := f.child("coordinator", args...)
	if err != nil {
		return err
	}
	f.coordinator, err = f.super.Start(c)
	return err
}

// startAgent joins the host's agent, with a one-use token the first time.
func (f *localFleet) startAgent(p ports) error {
	dir := filepath.Join(f.data, "agent")
	args := []string{"--data", dir, "--coordinators", p.Fleet, "--orphan-timeout", "60s", "--stop-engines"}
	enrolled, err := isEnrolled(dir)
	if err != nil {
		return err
	}
	if !enrolled {
		file, err := f.joinToken()
		if err != nil {
			return err
		}
		args = append(args, "--token-file", file)
	}
	c, err := f.child("agent", args...)
	if err != nil {
		return err
	}
	f.agent, err = f.super.Start(c)
	return err
}

func isEnrolled(agentDir string) (bool, error) {
	id, err := pki.OpenIdentity(filepath.Join(agentDir, "pki"))
	if err != nil {
		return false, err
	}
	return id.Enrolled(), nil
}

// tokenPatience is shorter than that of whoever awaits the start, to tell them why.
const tokenPatience = 20 * time.Second

// lastWords quotes the end of a role's log, where the reason of its end is.
func lastWords(data, role string) string {
	log := filepath.Join(data, "log", role+".log")
	return fmt.Sprintf("%s ends with: %s", log, lastLine(log))
}

// joinToken asks the coordinator for a token, as an operator would, and leaves it in
// a file that only this user reads.
func (f *localFleet) joinToken() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tokenPatience)
	defer cancel()
	o := &options{data: f.data}
	var t api.Token
	for {
		// The key file appears once the coordinator leads.
		client, err := o.client()
		if err == nil {
			t, err = client.CreateToken(ctx, api.TokenSpec{TTL: "1h"})
		}
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the coordinator gave no join token: %w; %s", err, lastWords(f.data, "coordinator"))
		case <-time.After(25 * time.Millisecond):
		}
	}
	path := filepath.Join(f.data, "run", "join-token")
	return path, os.WriteFile(path, []byte(t.Token+"\n"), 0o600)
}

// ports gives the ones used before where they are free, else free ones.
func (f *localFleet) ports() (ports, error) {
	path := filepath.Join(f.data, portsFile)
	var p ports
	if b, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(b, &p); err != nil {
			return p, fmt.Errorf("%s: %w", path, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return p, err
	}
	for _, addr := range []*string{&p.Fleet, &p.Metrics} {
		if *addr != "" && canListen(*addr) == nil {
			continue
		}
		var err error
		if *addr, err = freeAddr("127.0.0.1"); err != nil {
			return p, err
		}
	}
	b, err := json.Marshal(p)
	if err != nil {
		return p, err
	}
	return p, os.WriteFile(path, b, 0o600)
}

// freeAddr finds a port that is free for TCP and UDP.
func freeAddr(host string) (string, error) {
	for range 64 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return "", err
		}
		addr := l.Addr().String()
		l.Close()
		if canListen(addr) == nil {
			return addr, nil
		}
	}
	return "", fmt.Errorf("no port of %s is free for both TCP and UDP", host)
}

func canListenTCP(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", addr, errors.Unwrap(err))
	}
	return l.Close()
}

func canListen(addr string) error {
	if err := canListenTCP(addr); err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", addr, errors.Unwrap(err))
	}
	return u.Close()
}

// stop ends the roles, the agent first so that it can still say goodbye.
func (f *localFleet) stop() {
	for _, r := range []*svc.Running{f.agent, f.coordinator} {
		if r != nil {
			r.Stop()
		}
	}
	for _, name := range []string{upPID, endpointFile} {
		if err := os.Remove(filepath.Join(f.data, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			f.log.Warn("cannot remove", "file", name, "error", err)
		}
	}
	f.lock.Close()
}
