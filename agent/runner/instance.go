package runner

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/internal/svc"
	"github.com/nanofleet/nanofleet/wire"
)

// Pauses between attempts.
var (
	// afterLoss paces engines that were ready and died.
	afterLoss = svc.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second, Healthy: 10 * time.Second}
	// afterFailure paces pulls and loads that failed; there is no attempt without a pause.
	afterFailure = svc.Backoff{Min: 500 * time.Millisecond, Max: time.Minute}
)

// instance is one entry of the desired state. Its goroutine, run, alone touches facts
// and counters; jobs speak to it through inbox.
type instance struct {
	*Runner
	id     string
	spec   *wire.InstanceSpec
	digest string
	record record
	log    *slog.Logger

	wanted context.Context // ends when the desired state drops it, and with running
	unwant context.CancelFunc
	inbox  chan message
	deaf   chan struct{} // closed when nobody reads inbox any more
	done   chan struct{} // closed when nothing of it runs in this agent
	jobs   sync.WaitGroup

	facts    facts
	attempts int // that failed since it was last ready
	losses   int // engines that died soon after they were ready
	started  bool
	readyAt  time.Time

	mu     sync.Mutex
	status *wire.InstanceStatus
	meter  meter
}

// message is an event with what came with it.
type message struct {
	event event
	err   error             // why it failed or ended
	path  string            // with pullDone
	ready *wire.EngineReady // with engineReady
}

// tell sends a message to the instance's goroutine, if that still runs.
func (i *instance) tell(m message) {
	select {
	case i.inbox <- m:
	case <-i.deaf:
	}
}

// run lives the instance's life until it has stopped or the agent ends.
func (i *instance) run(left *leftover) {
	defer i.leave()
	defer i.cfg.Store.Pin(i.spec.GetVersion())()
	left = i.claim(left)
	dropped := i.wanted.Done()
	for i.running.Err() == nil {
		if i.wanted.Err() != nil {
			i.facts = i.facts.after(unwanted)
		}
		i.show(next(i.facts))
		if i.state() == stopped {
			return
		}
		left = i.begin(due(i.facts), left)
		select {
		case m := <-i.inbox:
			if errors.Is(m.err, errLeft) {
				return
			}
			i.take(m)
		case <-dropped:
			dropped = nil
		}
	}
}

// claim keeps a process that was started for this very spec and ends another one.
func (i *instance) claim(left *leftover) *leftover {
	if left == nil {
		return nil
	}
	if left.record.Spec != i.digest {
		i.retire(left)
		return nil
	}
	i.log.Info("engine found running", "pid", left.process.PID)
	i.record, i.started, i.facts.pulled = left.record, true, true
	i.update(func(s *wire.InstanceStatus) { s.Restarts = left.record.Restarts })
	return left
}

// leave tidies up at the instance's end. When the agent ends instead, its files stay
// for the next one.
func (i *instance) leave() {
	i.unwant()
	close(i.deaf)
	i.jobs.Wait()
	if i.state() == stopped {
		if err := i.files.remove(i.id); err != nil {
			i.log.Warn("cannot remove run files", "error", err)
		}
	}
	i.forget(i) // before anybody hears that it is done
	close(i.done)
}

// begin starts the job that is due, if any, and gives back the leftover that is still
// to be taken over.
func (i *instance) begin(j job, left *leftover) *leftover {
	switch j {
	case pullJob:
		i.facts = i.facts.after(pullBegan)
		i.jobs.Go(i.pull)
	case engineJob:
		i.facts = i.facts.after(engineBegan)
		pause := i.countStart(left != nil)
		adopted := left
		i.jobs.Go(func() { i.tell(message{event: engineEnded, err: i.conduct(adopted, pause)}) })
		left = nil
	}
	i.show(next(i.facts))
	return left
}

// countStart counts a restart and gives the pause before it.
func (i *instance) countStart(adopted bool) time.Duration {
	if adopted {
		return 0
	}
	if i.started {
		i.record.Restarts++
		i.update(func(s *wire.InstanceStatus) { s.Restarts = i.record.Restarts })
	}
	i.started = true
	if i.losses == 0 {
		return 0
	}
	return afterLoss.Next(i.losses - 1)
}

// pull fetches the files and verifies them.
func (i *instance) pull() {
	path, err := i.cfg.Store.Pull(i.wanted, i.spec.GetVersion(), i.spec.GetManifest(), func(done, total uint64) { i.progress("fetch", done, total) })
	if err != nil {
		i.tell(message{event: pullFailed, err: err})
		return
	}
	i.tell(message{event: pullDone, path: path})
}

// take lets an event happen.
func (i *instance) take(m message) {
	was := i.facts
	i.facts = was.after(m.event)
	switch m.event {
	case pullDone:
		i.record.Path, i.record.Spec = m.path, i.digest
	case engineReady:
		i.attempts, i.readyAt = 0, time.Now()
		i.update(func(s *wire.InstanceStatus) { s.Ready, s.Message = m.ready, "" })
	case engineEnded:
		i.lost(was, m.err)
	}
	if i.facts.failed && !was.failed {
		i.fail(m.err)
	}
}

// lost clears what was known of an engine that ended, and counts losses.
func (i *instance) lost(was facts, why error) {
	i.update(func(s *wire.InstanceStatus) { s.Ready, s.Stats = nil, nil })
	if was.phase != phaseReady || was.unwanted || errors.Is(why, errLeft) {
		return
	}
	if time.Since(i.readyAt) >= afterLoss.Healthy {
		i.losses = 0
	}
	i.losses++
	i.log.Warn("engine lost; starting it again", "reason", why, "pause", afterLoss.Next(i.losses-1))
}

// fail says why an attempt failed, and has the next one made after a pause.
func (i *instance) fail(why error) {
	if i.facts.unwanted || why == nil {
		i.facts = i.facts.after(retry)
		return
	}
	i.attempts++
	pause := afterFailure.Next(i.attempts)
	i.log.Warn("attempt failed", "reason", why, "pause", pause)
	i.update(func(s *wire.InstanceStatus) { s.Message = why.Error() })
	i.jobs.Go(func() {
		if sleep(i.wanted, pause) {
			i.tell(message{event: retry})
		}
	})
}

// show makes a state known, when it is another than before.
func (i *instance) show(s State) {
	if i.state() == s {
		return
	}
	now := time.Now().UnixMilli()
	i.update(func(st *wire.InstanceStatus) {
		st.State, st.SinceUnixMs = s, now
		st.ProgressDone, st.ProgressTotal, st.ProgressPhase = 0, 0, ""
		i.meter = meter{}
	})
	i.log.Info("instance", "state", s.String())
	i.notify()
}

// progress of the present phase, in bytes.
func (i *instance) progress(phase string, done, total uint64) {
	i.update(func(s *wire.InstanceStatus) {
		if s.ProgressPhase != phase {
			i.meter = meter{}
		}
		s.ProgressPhase, s.ProgressDone, s.ProgressTotal = phase, done, total
		i.meter.note(time.Now(), done)
	})
}

func (i *instance) stats(st *wire.EngineStats) {
	i.update(func(s *wire.InstanceStatus) { s.Stats = st })
}

func (i *instance) update(change func(*wire.InstanceStatus)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i.status)
}

func (i *instance) state() State {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.status.GetState()
}

// report is a copy of the status.
func (i *instance) report() *wire.InstanceStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := proto.CloneOf(i.status)
	s.ProgressRate = i.meter.rate(time.Now())
	return s
}
