package router

import (
	"slices"

	"github.com/nanofleet/nanofleet/wire"
)

// whole makes an instance's Finished that of the whole sequence: the client's prompt,
// what the first instance had cached, and the tokens of all.
func (s *Stream) whole(f *wire.Finished) {
	f.PromptTokens = uint32(len(s.asked.GetPrompt()))
	f.CachedTokens = s.accepted.GetCachedTokens()
	f.GeneratedTokens = uint32(len(s.ids))
}

// ended finishes a sequence whose instance broke between its last token and Finished:
// nothing is left to ask another for. The text of the last token came with it.
func (s *Stream) ended() *wire.GenerateEvent {
	f := s.finishedBy()
	if f == nil {
		return nil
	}
	s.over = true
	s.endTrial(false)
	s.whole(f)
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: f}}
}

func (s *Stream) finishedBy() *wire.Finished {
	if len(s.ids) == 0 {
		return nil
	}
	last := s.ids[len(s.ids)-1]
	early := len(s.ids) <= int(s.asked.GetMinTokens())
	stop := slices.Contains(s.asked.GetStopTokens(), last) || !s.asked.GetIgnoreEos() && slices.Contains(s.on.EOS, last)
	switch most := s.asked.GetMaxTokens(); {
	case stop && !early:
		return &wire.Finished{Reason: wire.FinishReason_FINISH_REASON_STOP, StopToken: last, HasStopToken: true}
	case s.full, most > 0 && len(s.ids) >= int(most):
		return &wire.Finished{Reason: wire.FinishReason_FINISH_REASON_LENGTH}
	}
	return nil
}
