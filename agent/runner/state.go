package runner

import "github.com/nanofleet/nanofleet/wire"

// State of an instance, as coordinators see it.
type State = wire.InstanceState

const (
	pending  = wire.InstanceState_INSTANCE_STATE_PENDING  // nothing was begun
	pulling  = wire.InstanceState_INSTANCE_STATE_PULLING  // its files are on their way
	loading  = wire.InstanceState_INSTANCE_STATE_LOADING  // an engine starts and reads them
	warming  = wire.InstanceState_INSTANCE_STATE_WARMING  // the engine runs its first steps
	ready    = wire.InstanceState_INSTANCE_STATE_READY    // requests are taken
	draining = wire.InstanceState_INSTANCE_STATE_DRAINING // no longer wanted, not yet ended
	stopped  = wire.InstanceState_INSTANCE_STATE_STOPPED  // nothing of it runs
	failed   = wire.InstanceState_INSTANCE_STATE_FAILED   // waits before it is tried again
)

// facts are all that an instance's state depends on.
type facts struct {
	unwanted bool  // the desired state does not name it any more
	pulled   bool  // its files are here and verified
	failed   bool  // the last attempt failed and the pause before the next one runs
	job      job   // what is under way
	phase    phase // how far the engine is, while job is engineJob
}

// job is work that takes time; an instance has at most one.
type job uint8

const (
	noJob     job = iota
	pullJob       // fetch and verify the files
	engineJob     // an engine process, from before its start to its end
)

// phase of an engine, in order.
type phase uint8

const (
	phaseLoading phase = iota
	phaseWarming
	phaseReady
)

// next is the state that follows from the facts.
func next(f facts) State {
	switch {
	case f.unwanted && f.job == noJob:
		return stopped
	case f.unwanted:
		return draining
	case f.failed:
		return failed
	case f.job == pullJob:
		return pulling
	case f.job == noJob && !f.pulled:
		return pending
	}
	return [...]State{phaseLoading: loading, phaseWarming: warming, phaseReady: ready}[f.phase]
}

// due is the job to begin now.
func due(f facts) job {
	switch {
	case f.unwanted, f.failed, f.job != noJob:
		return noJob
	case !f.pulled:
		return pullJob
	}
	return engineJob
}

// event is what happened to an instance.
type event uint8

const (
	unwanted    event = iota // the desired state dropped it; final
	pullBegan                // due asked for it
	pullDone                 //
	pullFailed               //
	engineBegan              // due asked for it
	engineWarms              //
	engineReady              //
	engineEnded              // for whatever reason
	retry                    // the pause after a failure is over
)

// after gives the facts once e has happened.
func (f facts) after(e event) facts {
	switch e {
	case unwanted:
		f.unwanted = true
	case pullBegan:
		f.job = pullJob
	case pullDone:
		f.job, f.pulled = noJob, true
	case pullFailed:
		f.job, f.failed = noJob, true
	case engineBegan:
		f.job, f.phase = engineJob, phaseLoading
	case engineWarms:
		f.phase = max(f.phase, phaseWarming)
	case engineReady:
		f.phase = phaseReady
	case engineEnded:
		return f.ended()
	case retry:
		f.failed = false
	}
	return f
}

// ended: an engine that was ready is started again at once; one that never got so far
// failed, and its files are looked at again before the next attempt.
func (f facts) ended() facts {
	if f.phase != phaseReady {
		f.failed, f.pulled = true, false
	}
	f.job, f.phase = noJob, phaseLoading
	return f
}
