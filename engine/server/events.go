package server

import (
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// statsEvery is how often an agent hears of a loaded engine.
const statsEvery = time.Second

func readyEvent(i *instance) *wire.EngineEvent {
	return &wire.EngineEvent{Event: &wire.EngineEvent_Ready{Ready: i.ready}}
}

func failedEvent(e *wire.Error) *wire.EngineEvent {
	return &wire.EngineEvent{Event: &wire.EngineEvent_Failed{Failed: e}}
}

func progressEvent(p *wire.LoadProgress) *wire.EngineEvent {
	return &wire.EngineEvent{Event: &wire.EngineEvent_Progress{Progress: p}}
}

func statsEvent(i *instance) *wire.EngineEvent {
	s := i.Stats()
	return &wire.EngineEvent{Event: &wire.EngineEvent_Stats{Stats: &wire.EngineStats{
		Steps:                uint64(s.Steps),
		Running:              uint32(s.Running),
		Waiting:              uint32(s.Waiting),
		PagesUsed:            uint32(s.PagesUsed),
		PagesCached:          uint32(s.PagesCached),
		PagesTotal:           uint32(s.PagesTotal),
		PromptTokens:         uint64(s.PromptTokens),
		CachedTokens:         uint64(s.CachedTokens),
		GeneratedTokens:      uint64(s.GeneratedTokens),
		Preemptions:          uint64(s.Preemptions),
		Finished:             uint64(s.Finished),
		Cancelled:            uint64(s.Cancelled),
		Failed:               uint64(s.Failed),
		PrefillRate:          s.PrefillRate,
		DecodeRate:           s.DecodeRate,
		QueuedUncachedTokens: uint64(s.QueuedUncachedTokens),
		MemoryPeak:           i.backend.Stats().MemoryPeak,
	}}}
}

// report tells the agent about the instance until the process ends.
func (s *server) report(i *instance) {
	tick := time.NewTicker(statsEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.tell(statsEvent(i))
		}
	}
}
