package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/wire"
)

const (
	pingEvery   = time.Second
	silentMax   = 10 * time.Second // without a word the engine hangs and is killed
	sendTimeout = 5 * time.Second
	stopWait    = 5 * time.Second // between Stop and SIGKILL
	drainSlack  = time.Second     // for the word that draining is over
)

// errLeft says that the agent ends and the engine goes on without it.
var errLeft = errors.New("runner: left to the next agent")

// conduct sees one engine from its start, or its adoption, to its end. When it
// returns, no process is left, unless with errLeft.
func (i *instance) conduct(left *leftover, pause time.Duration) error {
	if !sleep(i.wanted, pause) {
		return nil
	}
	p, err := i.obtain(left)
	if err != nil {
		return err
	}
	err = i.accompany(p)
	if errors.Is(err, errLeft) {
		return err
	}
	return errors.Join(err, p.kill())
}

// obtain starts a process or takes over the one that is left.
func (i *instance) obtain(left *leftover) (*process, error) {
	if left != nil {
		return adopt(i.running, left.process), nil
	}
	if err := i.files.writeRecord(i.id, i.record); err != nil {
		return nil, fmt.Errorf("cannot keep its record: %w", err)
	}
	p, err := i.files.spawn(i.cfg.Engine, i.id, i.cfg.OrphanTimeout)
	if err != nil {
		return nil, fmt.Errorf("cannot start the engine: %w", err)
	}
	i.log.Info("engine started", "pid", p.PID)
	return p, nil
}

// accompany connects to an engine, has it load and watches it.
func (i *instance) accompany(p *process) error {
	conn, err := i.files.connect(i.wanted, p, i.id)
	if err != nil {
		return i.unlessDropped(err)
	}
	defer conn.Close()
	c := &control{instance: i, process: p, conn: conn, heard: time.Now()}
	if err := c.open(); err != nil {
		return err
	}
	return c.watch()
}

// unlessDropped makes nothing of an error that came because the engine is no longer
// wanted or the agent ends.
func (i *instance) unlessDropped(err error) error {
	switch {
	case i.running.Err() != nil:
		return errLeft
	case i.wanted.Err() != nil:
		return nil
	}
	return err
}

// control is the one control connection to an engine.
type control struct {
	*instance
	process *process
	conn    net.Conn
	heard   time.Time // when the engine last said something
	nonce   uint64    // of the last ping
	ready   bool
}

// open says what the engine is to load. One that has loaded it before, for an earlier
// agent, answers at once that it is ready.
func (c *control) open() error {
	return c.send(
		&wire.StreamHeader{Capability: wire.Capability, Kind: wire.StreamKind_STREAM_KIND_CONTROL, Project: c.spec.GetProject()},
		&wire.EngineCommand{Command: &wire.EngineCommand_Load{Load: &wire.Load{
			Instance:  c.id,
			Path:      c.record.Path,
			Options:   c.spec.GetOptions(),
			MemoryMax: total(c.spec.GetFootprint()),
			Model:     c.spec.GetModel(),
			Version:   c.spec.GetVersion(),
		}}},
	)
}

func total(f *wire.Footprint) uint64 {
	return f.GetWeights() + f.GetKv() + f.GetActivations() + f.GetWorkspace()
}

// watch hears the engine, asks whether it lives, and drains it once it is no longer
// wanted. nil means that it ended as it was told to.
func (c *control) watch() error {
	events, tick := c.listen(), time.NewTicker(pingEvery)
	defer tick.Stop()
	dropped := c.wanted.Done()
	var drained <-chan time.Time
	for {
		select {
		case <-c.running.Done():
			return errLeft
		case <-dropped:
			if c.running.Err() != nil || !c.ready {
				return c.unlessDropped(nil)
			}
			if err := c.drain(); err != nil {
				return err
			}
			dropped, drained = nil, time.After(c.drainTimeout()+drainSlack)
		case <-drained:
			return errors.New("the engine does not drain")
		case ev, ok := <-events:
			if !ok {
				return c.ended()
			}
			if done, err := c.hear(ev); done || err != nil {
				return err
			}
		case <-tick.C:
			if err := c.ping(); err != nil {
				return err
			}
		}
	}
}

// listen gives what the engine says until its connection ends.
func (c *control) listen() <-chan *wire.EngineEvent {
	events := make(chan *wire.EngineEvent, 16)
	go func() {
		defer close(events)
		for {
			ev := &wire.EngineEvent{}
			if wire.ReadFrame(c.conn, ev) != nil {
				return
			}
			select {
			case events <- ev:
			case <-c.running.Done():
				return
			case <-c.process.gone:
				return
			}
		}
	}()
	return events
}

// hear takes in one event; done when the engine has drained and stopped.
func (c *control) hear(ev *wire.EngineEvent) (done bool, err error) {
	c.heard = time.Now()
	switch e := ev.GetEvent().(type) {
	case *wire.EngineEvent_Progress:
		c.progress(e.Progress.GetPhase(), e.Progress.GetDone(), e.Progress.GetTotal())
		if e.Progress.GetPhase() == "warm" {
			c.tell(message{event: engineWarms})
		}
	case *wire.EngineEvent_Ready:
		c.ready = true
		c.tell(message{event: engineReady, ready: e.Ready})
	case *wire.EngineEvent_Stats:
		c.stats(e.Stats)
	case *wire.EngineEvent_Failed:
		return false, errors.New(e.Failed.GetMessage())
	case *wire.EngineEvent_Drained:
		c.log.Info("engine drained", "finished", e.Drained.GetFinished(), "cancelled", e.Drained.GetCancelled())
		return true, c.stop()
	}
	return false, nil
}

// drain has the engine take nothing new. From here on it is of no use to a later
// agent, so its record goes: should this agent die meanwhile, the engine is retired.
func (c *control) drain() error {
	if err := os.Remove(c.files.record(c.id)); err != nil {
		c.log.Warn("cannot remove an engine's record", "error", err)
	}
	return c.send(&wire.EngineCommand{Command: &wire.EngineCommand_Drain{Drain: &wire.Drain{TimeoutMs: c.drainTimeout().Milliseconds()}}})
}

// stop has a drained engine end; one that does not is killed.
func (c *control) stop() error {
	if err := c.send(&wire.EngineCommand{Command: &wire.EngineCommand_Stop{Stop: &wire.Stop{}}}); err == nil {
		c.process.await(stopWait)
	}
	return nil
}

// ping asks whether the engine lives, and keeps its log in bounds.
func (c *control) ping() error {
	if silent := time.Since(c.heard); silent > c.silentMax {
		return fmt.Errorf("the engine did not answer for %v", silent.Round(time.Second))
	}
	if err := c.files.boundLog(c.id); err != nil {
		c.log.Warn("cannot bound the engine's log", "error", err)
	}
	c.nonce++
	return c.send(&wire.EngineCommand{Command: &wire.EngineCommand_Ping{Ping: &wire.Ping{Nonce: c.nonce}}})
}

// ended says why the connection ended.
func (c *control) ended() error {
	if c.running.Err() != nil {
		return errLeft
	}
	if !c.process.await(stopWait) {
		return errors.New("the engine closed its control connection")
	}
	if c.ready {
		return fmt.Errorf("the engine ended: %w", c.process.reason())
	}
	return fmt.Errorf("the engine ended before it was ready: %w", c.process.reason())
}

// send writes messages in one go. An engine that cannot take them has ended, or hangs.
func (c *control) send(messages ...proto.Message) (err error) {
	var b []byte
	for _, m := range messages {
		if b, err = wire.AppendFrame(b, m); err != nil {
			return err
		}
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := c.conn.Write(b); err != nil {
		return c.ended()
	}
	return nil
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
