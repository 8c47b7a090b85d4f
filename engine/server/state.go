package server

import (
	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/wire"
)

// state is what the process serves; guarded by server.mu.
type state struct {
	load     *wire.Load         // the last one taken; nil = none yet
	progress *wire.LoadProgress // the last one told while loading
	failed   *wire.Error        // why the last load, or the engine, failed
	instance *instance          // nil until ready
	draining bool
}

// instance is a loaded model that serves.
type instance struct {
	*engine.Engine
	backend engine.Backend
	load    *wire.Load
	ready   *wire.EngineReady
	tokens  func(int32) []byte // a token's bytes
}

// serving is the loaded instance, or why there is none.
func (s *server) serving() (*instance, *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch st := s.state; {
	case st.draining:
		return nil, unavailable("the instance is draining")
	case st.instance != nil:
		return st.instance, nil
	case st.failed != nil:
		return nil, unavailable("the instance has failed")
	case st.load != nil:
		return nil, unavailable("the instance is loading")
	}
	return nil, unavailable("no model is loaded")
}

// greeting is what an agent that has just connected is told.
func (s *server) greeting() []*wire.EngineEvent {
	switch st := s.state; {
	case st.failed != nil:
		return []*wire.EngineEvent{failedEvent(st.failed)}
	case st.instance != nil:
		return []*wire.EngineEvent{readyEvent(st.instance), statsEvent(st.instance)}
	case st.progress != nil:
		return []*wire.EngineEvent{progressEvent(st.progress)}
	}
	return nil
}
