package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/nanofleet/nanofleet/coordinator/admin"
	"github.com/nanofleet/nanofleet/coordinator/agents"
	"github.com/nanofleet/nanofleet/coordinator/auth"
	"github.com/nanofleet/nanofleet/coordinator/consensus"
	"github.com/nanofleet/nanofleet/coordinator/registry"
	"github.com/nanofleet/nanofleet/coordinator/router"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/gateway"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
)

// Coordinator is one running coordinator.
type Coordinator struct {
	cfg      Config
	log      *slog.Logger
	ca       *pki.CA
	identity *pki.Identity
	fleet    *transport.Listener
	hub      *consensus.Hub
	replica  *replica
	fsm      *state.FSM
	registry *registry.Registry
	agents   *agents.Server
	live     *liveView
	metrics  *prometheus.Registry
	aliases  *prometheus.Registry // the same under vLLM's names
	caughtUp chan struct{}        // closed once the state is as last committed
	founded  atomic.Bool          // the admin key exists: operators can work
}

// shutdownGrace is how long open requests may go on after a stop is asked for.
const shutdownGrace = 5 * time.Second

// requestsAtOnce bounds what one key has under way: more than any fleet computes at
// once, and few enough that one key cannot fill the memory with bodies.
const requestsAtOnce = 4096

// newID draws a short random id: 60 bits, lower case.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// Run runs a coordinator until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	c, err := open(cfg)
	if err != nil {
		return err
	}
	defer c.close()
	return c.run(ctx)
}

// open brings up what needs no network peer.
func open(cfg Config) (*Coordinator, error) {
	if cfg.AdminKeyFile == "" {
		cfg.AdminKeyFile = filepath.Join(cfg.Dir, "admin-key")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	c := &Coordinator{cfg: cfg, log: cfg.Log, metrics: prometheus.NewRegistry(), aliases: prometheus.NewRegistry(), caughtUp: make(chan struct{})}
	if err := c.openParts(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *Coordinator) openParts() (err error) {
	if c.ca, c.identity, err = openPKI(c.cfg.Dir, newID, time.Now()); err != nil {
		return err
	}
	if err = writeCA(c.cfg.CAFile, c.ca); err != nil {
		return err
	}
	if c.fleet, err = transport.Listen(c.cfg.Fleet, c.identity, c.ca.Pool(), transport.Options{Admit: c.admit}); err != nil {
		return err
	}
	c.hub = consensus.NewHub(c.fleet, c.identity, c.ca.Pool())
	if c.registry, err = registry.Open(filepath.Join(c.cfg.Dir, "models")); err != nil {
		return err
	}
	if err = c.openReplica(); err != nil {
		return err
	}
	c.agents = agents.NewServer(agents.Config{
		Replica: c.replica, CA: c.ca, Now: time.Now, NewID: newID, Log: c.log,
		Coordinators: func() []string { return []string{c.fleet.Addr().String()} },
	})
	c.live = &liveView{replica: c.replica, table: c.agents.Table(), placed: newPlaced(nil)}
	c.registerMetrics()
	return nil
}

// openReplica opens the control group: one voter, until others join.
func (c *Coordinator) openReplica() error {
	store := state.New()
	c.fsm = state.NewFSM(store)
	id := c.identity.Peer().NodeID
	group, err := consensus.Open(consensus.Config{
		Dir:       filepath.Join(c.cfg.Dir, "raft"),
		NodeID:    id,
		Group:     "control",
		Bootstrap: c.cfg.Bootstrap,
		Layer:     c.hub.Layer("control"),
		Log:       c.log,
	}, c.fsm)
	if err != nil {
		return err
	}
	c.replica = &replica{group: group, store: store, id: id}
	return c.checkMember()
}

// checkMember refuses to run without a fleet: nobody would ever lead it.
func (c *Coordinator) checkMember() error {
	members, err := c.replica.group.Members()
	if err == nil && len(members) == 0 {
		return fmt.Errorf("bootstrap: false, and %s belongs to no fleet; found one with --bootstrap", c.cfg.Dir)
	}
	return err
}

// close ends what open began, in reverse.
func (c *Coordinator) close() {
	var errs []error
	if c.replica != nil {
		errs = append(errs, c.replica.group.Close())
	}
	if c.registry != nil {
		errs = append(errs, c.registry.Close())
	}
	if c.hub != nil {
		c.hub.Close()
	}
	if c.fleet != nil {
		errs = append(errs, c.fleet.Close())
	}
	if err := errors.Join(errs...); err != nil {
		c.log.Warn("stopping", "error", err)
	}
}

// run serves until ctx ends or a part fails.
func (c *Coordinator) run(ctx context.Context) error {
	crowd := newCrowd(connsMax)
	api, err := listenAPI(c.cfg, c.ca, time.Now, crowd)
	if err != nil {
		return err
	}
	metrics, err := net.Listen("tcp", c.cfg.Metrics)
	if err != nil {
		api.Close()
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.serveFleet(ctx) })
	g.Go(func() error {
		return serveHTTP(ctx, c.fleet.TCP(), c.registry.Handler(), port{log: c.log, grace: shutdownGrace})
	})
	g.Go(func() error {
		return serveHTTP(ctx, api, c.handler(), port{log: c.log, grace: shutdownGrace, crowd: crowd})
	})
	g.Go(func() error { return serveHTTP(ctx, metrics, c.metricsPort(), port{log: c.log, grace: time.Second}) })
	g.Go(func() error { return c.lead(ctx) })
	g.Go(func() error { return c.readable(ctx) })
	g.Go(func() error { return c.renew(ctx) })
	c.log.Info("coordinator up", "api", c.cfg.API, "fleet", c.fleet.Addr().String(), "node", c.replica.id)
	return g.Wait()
}

// readable ends the coordinator when it cannot read a command that the others can.
func (c *Coordinator) readable(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-c.fsm.Failed():
		return fmt.Errorf("coordinator: cannot follow the log, this binary must be upgraded: %w", err)
	}
}

// handler is the API port: probes, OpenAI surface, management API.
func (c *Coordinator) handler() http.Handler {
	mux := http.NewServeMux()
	keys := auth.New(c.replica.Snapshot)
	view := &routeView{replica: c.replica, table: c.agents.Table(), registry: c.registry}
	rt := router.New(router.DefaultConfig(), view, view, time.Now)
	c.metrics.MustRegister(resumedCounter(rt), poisonedCounter(rt))
	c.live.router = rt
	c.health(mux)
	mux.Handle("GET /metrics", requireKey(keys, c.metricsHandler()))
	mux.Handle("GET /metrics/vllm", requireKey(keys, c.aliasHandler()))
	openAI := gateway.New(gateway.Deps{
		Auth:    gatewayAuth{keys},
		Catalog: &catalog{replica: c.replica, registry: c.registry},
		Router:  gatewayRouter{rt},
		Audit:   gateway.SlogAuditor{Log: c.log},
		Limit:   gateway.Unlimited{},
		Log:     c.log,
		Metrics: c.metrics,
		Aliases: c.aliases,
		AtOnce:  requestsAtOnce,
	})
	for _, path := range gateway.Paths {
		mux.Handle(path, openAI)
	}
	admin.Mount(mux, admin.Deps{
		Replica: c.replica, Registry: c.registry, Live: c.live, Auth: adminAuth{keys},
		Now: time.Now, NewID: newID, CAHash: c.ca.Hash(), Version: c.cfg.Version,
	})
	return c.hold(mux, catchUpPatience)
}

// lead founds the fleet once this node leads, and places for as long as it does.
func (c *Coordinator) lead(ctx context.Context) error {
	p := &placer{
		replica: c.replica, table: c.agents.Table(), registry: c.registry,
		live: c.live, now: time.Now, newID: newID, log: c.log,
	}
	for {
		if c.replica.group.IsLeader() {
			if err := c.replica.group.Barrier(ctx); err == nil {
				if err := ensureAdminKey(ctx, c.replica, c.cfg.AdminKeyFile, newID, time.Now()); err != nil {
					return err
				}
				if !c.founded.Swap(true) {
					close(c.caughtUp)
				}
				c.whileLeading(ctx, p)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.replica.group.LeaderCh():
		case <-time.After(100 * time.Millisecond): // LeaderCh drops what nobody receives
		}
	}
}

// whileLeading places until leadership or ctx ends.
func (c *Coordinator) whileLeading(ctx context.Context, p *placer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		for c.replica.group.IsLeader() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	if err := p.run(ctx); err != nil {
		c.log.Error("placement ended", "error", err)
	}
}

// ready tells whether requests can be answered: state is applied and a key exists.
func (c *Coordinator) ready() bool { return c.founded.Load() && c.replica.Leader() != "" }

// serves tells whether some model answers, where any is meant to.
func (c *Coordinator) serves() bool {
	snap, table, wanted := c.replica.Snapshot(), c.agents.Table(), false
	for _, i := range snap.Instances() {
		wanted = true
		if st, live := table.Instance(i.Node, i.ID); live && serving(st) {
			return true
		}
	}
	return !wanted
}

// renew keeps this node's certificate fresh.
func (c *Coordinator) renew(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(c.identity.RenewAt())):
		}
		if err := certify(c.ca, c.identity, c.replica.id, time.Now()); err != nil {
			return err
		}
		c.log.Info("certificate renewed", "until", c.identity.Leaf().NotAfter)
	}
}
