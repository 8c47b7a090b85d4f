package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/internal/svc"
	"github.com/nanofleet/nanofleet/wire"
)

// Store gives models.
type Store interface {
	// Pull fetches and verifies a version's files, or finds them here, and gives the
	// path that an engine loads. progress is told bytes.
	Pull(ctx context.Context, version string, m *wire.Manifest, progress func(done, total uint64)) (path string, err error)
	// Pin keeps a version's files until unpin.
	Pin(version string) (unpin func())
}

// Config of a Runner.
type Config struct {
	Dir           string   // absolute; see the package comment
	Engine        []string // program and first arguments of an engine
	OrphanTimeout time.Duration
	DrainTimeout  time.Duration // for requests to finish on an instance that is dropped
	Store         Store
	Log           *slog.Logger
}

// retireWait is how long an engine that nobody wants may take to end.
const retireWait = 5 * time.Second

// ErrNotReady is wrapped by Dial when an instance takes no requests here.
var ErrNotReady = errors.New("takes no requests here now")

// Runner runs instances. It is safe for concurrent use.
type Runner struct {
	cfg     Config
	files   *files
	log     *slog.Logger
	running context.Context // until the agent ends
	end     context.CancelFunc

	silentMax time.Duration // silentMax, but in tests

	mu        sync.Mutex
	desired   map[string]*wire.InstanceSpec
	digests   map[string]string
	instances map[string]*instance
	leftovers map[string]*leftover // not yet claimed or retired
	closing   bool
	drain     time.Duration
	changed   chan struct{} // closed and replaced at every change
	others    sync.WaitGroup
}

// Open finds the engines that an earlier agent left running. They are taken over or
// stopped when Apply says what is desired.
func Open(cfg Config) (*Runner, error) {
	f, err := openFiles(cfg.Dir)
	if err != nil {
		return nil, err
	}
	r := &Runner{
		cfg: cfg, files: f, log: cfg.Log, drain: cfg.DrainTimeout, silentMax: silentMax,
		instances: map[string]*instance{}, changed: make(chan struct{}),
	}
	if r.leftovers, err = f.leftovers(); err != nil {
		f.close()
		return nil, err
	}
	if err := f.pruneLogs(r.leftovers); err != nil {
		r.log.Warn("cannot remove old logs", "error", err)
	}
	r.running, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Apply takes the whole desired state and returns; the work follows.
func (r *Runner) Apply(d *wire.Desired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.desired, r.digests = map[string]*wire.InstanceSpec{}, map[string]string{}
	for _, spec := range d.GetInstances() {
		digest, err := specDigest(spec)
		if err == nil && !instanceForm.MatchString(spec.GetInstance()) {
			err = fmt.Errorf("instance id %q is not 1 to 64 of the characters A-Z a-z 0-9 . _ -", spec.GetInstance())
		}
		if err != nil {
			r.log.Error("an instance is not run", "reason", err)
			continue
		}
		r.desired[spec.GetInstance()], r.digests[spec.GetInstance()] = proto.CloneOf(spec), digest
	}
	r.reconcile()
}

// reconcile begins what is desired and ends what is not; r.mu is held. An instance
// whose spec changed ends first, and begins anew when it is gone.
func (r *Runner) reconcile() {
	if r.closing || r.desired == nil {
		return
	}
	for id, i := range r.instances {
		if r.digests[id] != i.digest {
			i.unwant()
		}
	}
	for id, spec := range r.desired {
		if r.instances[id] == nil {
			r.begin(id, spec)
		}
	}
	for id, left := range r.leftovers {
		delete(r.leftovers, id)
		r.others.Go(func() { r.retire(left) })
	}
}

// begin starts an instance's life; r.mu is held.
func (r *Runner) begin(id string, spec *wire.InstanceSpec) {
	i := &instance{
		Runner: r, id: id, spec: spec, digest: r.digests[id],
		log:   r.log.With("instance", id, "model", spec.GetModel()),
		inbox: make(chan message), deaf: make(chan struct{}), done: make(chan struct{}),
		status: &wire.InstanceStatus{Instance: id, State: pending, SinceUnixMs: time.Now().UnixMilli()},
	}
	i.wanted, i.unwant = context.WithCancel(r.running)
	left := r.leftovers[id]
	delete(r.leftovers, id)
	r.instances[id] = i
	go i.run(left)
}

// retire ends an engine that nobody wants.
func (r *Runner) retire(left *leftover) {
	r.log.Info("stopping an engine that is not wanted", "instance", left.instance, "pid", left.process.PID)
	if err := left.process.Stop(retireWait); err != nil && !errors.Is(err, svc.ErrNotRunning) {
		r.log.Error("cannot stop an engine", "instance", left.instance, "error", err)
		return
	}
	if err := r.files.remove(left.instance); err != nil {
		r.log.Warn("cannot remove run files", "instance", left.instance, "error", err)
	}
}

// forget drops an instance that has ended; it begins anew if it is desired again.
func (r *Runner) forget(i *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.instances[i.id] == i {
		delete(r.instances, i.id)
	}
	r.reconcile()
	r.notifyLocked()
}

// Statuses of all instances, by id.
func (r *Runner) Statuses() []*wire.InstanceStatus {
	var out []*wire.InstanceStatus
	for _, i := range r.all() {
		out = append(out, i.report())
	}
	slices.SortFunc(out, func(a, b *wire.InstanceStatus) int { return strings.Compare(a.GetInstance(), b.GetInstance()) })
	return out
}

func (r *Runner) all() []*instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.instances))
}

// Changed gives a channel that is closed at the next change of an instance's state.
func (r *Runner) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *Runner) notify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notifyLocked()
}

func (r *Runner) notifyLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Dial connects to the engine of an instance that is ready. Its error may be shown to
// users.
func (r *Runner) Dial(ctx context.Context, instance string) (net.Conn, error) {
	r.mu.Lock()
	i := r.instances[instance]
	r.mu.Unlock()
	if i == nil || i.state() != ready {
		return nil, fmt.Errorf("instance %q %w", instance, ErrNotReady)
	}
	c, err := r.files.dial(ctx, instance)
	if err != nil {
		r.log.Warn("cannot reach a ready engine", "instance", instance, "error", err)
		return nil, fmt.Errorf("instance %q %w", instance, ErrNotReady)
	}
	return c, nil
}

func (r *Runner) drainTimeout() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drain
}

// Stop ends the engines in order: drain for a little, stop, kill. It returns when none
// is left or ctx ends. Close follows.
func (r *Runner) Stop(ctx context.Context, drain time.Duration) {
	r.mu.Lock()
	r.closing, r.drain = true, min(drain, r.drain)
	for id, left := range r.leftovers {
		delete(r.leftovers, id)
		r.others.Go(func() { r.retire(left) })
	}
	r.mu.Unlock()
	for _, i := range r.all() {
		i.unwant()
	}
	for _, i := range r.all() {
		select {
		case <-i.done:
		case <-ctx.Done():
			return
		}
	}
}

// Close leaves the engines that run to the next agent.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	r.end()
	for _, i := range r.all() {
		<-i.done
	}
	r.others.Wait()
	r.files.close()
}
