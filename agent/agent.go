package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nanofleet/nanofleet/agent/link"
	"github.com/nanofleet/nanofleet/agent/probe"
	"github.com/nanofleet/nanofleet/agent/runner"
	"github.com/nanofleet/nanofleet/agent/serve"
	"github.com/nanofleet/nanofleet/agent/store"
)

const (
	drainTimeout = 30 * time.Second // of an instance that the fleet dropped
	stopDrain    = 2 * time.Second  // of the engines that end with the agent
	stopTimeout  = 10 * time.Second // for all of them to end
)

// Agent is one running agent.
type Agent struct {
	cfg     Config
	log     *slog.Logger
	lock    *os.File
	link    *link.Link
	devices *probe.Host
	store   *store.Store
	runner  *runner.Runner
	host    *host
}

// Run runs an agent until ctx ends. It returns within a few seconds then.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	a := &Agent{cfg: cfg, log: cfg.Log}
	defer a.close()
	if err := a.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it had joined
		}
		return err
	}
	return a.run(ctx)
}

// open brings up the parts. A host that has not joined waits here for its fleet.
func (a *Agent) open(ctx context.Context) (err error) {
	if a.cfg.DataDir, err = filepath.Abs(a.cfg.DataDir); err != nil {
		return err
	}
	if err = os.MkdirAll(a.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("agent: data: %w", err)
	}
	if a.lock, err = lock(a.cfg.DataDir); err != nil {
		return err
	}
	if a.link, err = link.Open(link.Config{
		Dir: a.cfg.DataDir, Coordinators: a.cfg.Coordinators, TokenFile: a.cfg.TokenFile,
		Version: a.cfg.Version, Log: a.log,
	}); err != nil {
		return err
	}
	if err = a.link.Enrol(ctx); err != nil {
		return err
	}
	return a.openEngines()
}

// openEngines brings up what runs engines, and has the last known desired state run:
// no coordinator is needed for that.
func (a *Agent) openEngines() (err error) {
	a.devices = probe.Open(probe.Providers(), a.log)
	if a.store, err = store.Open(filepath.Join(a.cfg.DataDir, "models"), a.log); err != nil {
		return err
	}
	m, err := fromCoordinators(a.store, a.link)
	if err != nil {
		return err
	}
	if a.runner, err = runner.Open(runner.Config{
		Dir: a.cfg.DataDir, Engine: a.cfg.Engine, OrphanTimeout: a.cfg.OrphanTimeout,
		DrainTimeout: drainTimeout, Store: m, Log: a.log,
	}); err != nil {
		return err
	}
	a.host = &host{Runner: a.runner, models: m, devices: a.devices, serve: serve.New(a.runner, a.log)}
	if d := a.link.Desired(); d != nil {
		a.runner.Apply(d)
	}
	return nil
}

// run holds the sessions until ctx ends. The engines, if they are to end, drain while
// the sessions still carry what they say.
func (a *Agent) run(ctx context.Context) error {
	a.log.Info("agent up", "node", a.link.Identity().Peer().NodeID, "data", a.cfg.DataDir)
	sessions, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	done := make(chan error, 1)
	go func() { done <- a.link.Run(sessions, a.host) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if a.cfg.StopEngines {
		stop, cancel := context.WithTimeout(sessions, stopTimeout)
		defer cancel()
		a.runner.Stop(stop, stopDrain)
	}
	end()
	return <-done
}

// close ends what open began, in reverse.
func (a *Agent) close() {
	var errs []error
	if a.runner != nil {
		a.runner.Close()
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.devices != nil {
		errs = append(errs, a.devices.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Warn("stopping", "error", err)
	}
}
