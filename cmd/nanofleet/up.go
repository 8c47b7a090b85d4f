package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/internal/source"
	"github.com/nanofleet/nanofleet/internal/svc"
)

// upFlags say what fleet to run on this host and what to do once it runs.
type upFlags struct {
	api     string
	model   string
	name    string
	ask     string
	detach  bool
	timeout time.Duration
	tlsCert string
	tlsKey  string
	from    sourceFlags
}

func upCommand(o *options) *cobra.Command {
	var u upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole fleet on this host",
		Long: `Run a whole fleet on this host: a coordinator, an agent and the engines it
starts, kept alive until ^C or ` + "`nanofleet down`" + `. Its state lives in --data and
survives. With --model the model is added and deployed; --ask puts a question to it.`,
		Example: `  nanofleet up
  nanofleet up --model model.gguf --ask "What is the capital of France?"
  nanofleet up --detach --api 0.0.0.0:8080 --data /srv/nanofleet`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := u.resolve(); err != nil {
				return err
			}
			if u.detach {
				return u.background(c.Context(), o, c.OutOrStdout())
			}
			return u.foreground(c.Context(), o, c.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&u.api, "api", "127.0.0.1:8080", "address of the API; beyond loopback it speaks TLS")
	f.StringVar(&u.model, "model", "", "model to serve: a path, hf:org/name, a URL or ollama:name, as `nanofleet model add` takes it")
	f.StringVar(&u.name, "name", "", "name of that model (default: after the file)")
	f.StringVar(&u.ask, "ask", "", "question to put to it once it serves")
	f.BoolVar(&u.detach, "detach", false, "go on in the background")
	f.DurationVar(&u.timeout, "timeout", 2*time.Minute, "how long to wait until the fleet serves")
	f.StringVar(&u.tlsCert, "tls-cert", "", "certificate of the API (PEM; default: one of the fleet's own authority)")
	f.StringVar(&u.tlsKey, "tls-key", "", "key of --tls-cert")
	u.from.fetch(f)
	return cmd
}

// resolve fills in the API's port when it is 0 and the model's name.
func (u *upFlags) resolve() error {
	host, port, err := net.SplitHostPort(u.api)
	if err != nil {
		return usagef("--api %q: %w; want host:port", u.api, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return usagef("--api %q: port must be 0 to 65535", u.api)
	}
	if port == "0" {
		if u.api, err = freeAddr(host); err != nil {
			return err
		}
	}
	if (u.tlsCert == "") != (u.tlsKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	if u.tlsCert != "" {
		if _, err := tls.LoadX509KeyPair(u.tlsCert, u.tlsKey); err != nil {
			return usagef("--tls-cert %s, --tls-key %s: %w", u.tlsCert, u.tlsKey, err)
		}
	}
	if u.model != "" && !source.IsRemote(u.model) {
		if _, err := os.Stat(u.model); err != nil {
			return usagef("--model: %w", err)
		}
	}
	if u.model != "" {
		if err := u.from.check(u.model); err != nil {
			return err
		}
	}
	if u.model != "" && u.name == "" {
		if u.name = nameOf(u.model); u.name == "" {
			return usagef("--model %q: want a path, %s", u.model, source.Forms)
		}
	}
	return nil
}

// endpoint is the URL at which the API answers.
func (u *upFlags) endpoint() string {
	host, port, _ := net.SplitHostPort(u.api)
	scheme := "http"
	if !isLoopback(host) || u.tlsCert != "" {
		scheme = "https"
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// foreground supervises the fleet until it is told to stop.
func (u *upFlags) foreground(ctx context.Context, o *options, out io.Writer) error {
	f, err := startFleet(o.data, u)
	if err != nil {
		return err
	}
	defer f.stop()
	if err := u.introduce(ctx, o, out); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// background starts the fleet as a process of its own, unless it runs already, and
// returns once it serves.
func (u *upFlags) background(ctx context.Context, o *options, out io.Writer) error {
	if err := makeDir(o.data, "run"); err != nil {
		return err
	}
	switch p, err := svc.ReadPID(filepath.Join(o.data, upPID)); {
	case err == nil:
		if at, _ := o.findServer(); at != u.endpoint() {
			return fmt.Errorf("a fleet runs from %s already (pid %d) at %s; stop it with `nanofleet down --data %s`", o.data, p.PID, at, o.data)
		}
	case errors.Is(err, svc.ErrNotRunning):
		if err := u.spawn(o); err != nil {
			return err
		}
	default:
		return err
	}
	if err := u.introduce(ctx, o, out); err != nil {
		return fmt.Errorf("%w\nthe fleet itself runs on; `nanofleet down --data %s` stops it", err, o.data)
	}
	return nil
}

// spawn starts `nanofleet up` in a session of its own, so that it outlives the
// terminal.
func (u *upFlags) spawn(o *options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := makeDir(o.data, "log"); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(o.data, "log", "up.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"up", "--data", o.data, "--api", u.api}
	if u.tlsCert != "" {
		args = append(args, "--tls-cert", u.tlsCert, "--tls-key", u.tlsKey)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return awaitStart(filepath.Join(o.data, upPID), ended, log.Name())
}

// awaitStart waits until the fleet has written its pid file, which it does once its
// roles have started.
func awaitStart(pidFile string, ended <-chan error, log string) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if _, err := svc.ReadPID(pidFile); err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the fleet did not start: %s", lastLine(log))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("the fleet did not start within 30s; see %s", log)
}

func lastLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "nanofleet: ")
}
