package router

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/wire"
)

// open finds an instance and sends it what is left of the request, again and again
// until one takes it or the router's patience is at an end.
func (s *Stream) open() error {
	prompt := slices.Concat(s.asked.GetPrompt(), s.ids)
	if err := s.awaitTrial(); err != nil {
		return err
	}
	for {
		if err := s.r.refuse(s.model, s.asked); err != nil {
			return err
		}
		c, err := s.r.acquire(s.ctx, s.wanted(prompt))
		if err != nil {
			return err
		}
		s.on, s.running = c, false
		s.r.suspects.arrive(&s.standing, process{c.Instance, c.Restarts})
		s.current, err = s.r.dialer.Generate(s.ctx, c.Node, s.request(prompt))
		s.r.opened(c.Instance)
		if err == nil {
			return nil
		}
		s.current = nil
		s.r.suspects.leave(&s.standing)
		if cause := context.Cause(s.ctx); cause != nil {
			return cause
		}
		s.shuns.add(c.Instance, 0, s.r.now())
	}
}

func (s *Stream) wanted(prompt []int32) wanted {
	w := wanted{
		project: s.asked.GetProject(), model: s.model, priority: s.asked.GetPriority(),
		need: need{
			tokens: len(prompt), version: s.version,
			cached: s.r.prefixes.cached(s.r.prefixes.chain(s.asked.GetCacheSalt(), prompt)),
		},
		shuns:  s.shuns,
		giveUp: s.alive.Add(s.r.cfg.Patience),
	}
	if ms := s.asked.GetDeadlineUnixMs(); ms != 0 {
		w.deadline = time.UnixMilli(ms)
	}
	return w
}

// request is what an instance is asked: the request itself, or the rest of it.
func (s *Stream) request(prompt []int32) *wire.GenerateRequest {
	req := proto.Clone(s.asked).(*wire.GenerateRequest)
	req.Instance = s.on.Instance
	if s.accepted == nil {
		return req
	}
	done := uint32(len(s.ids))
	req.Prompt, req.Resumed = prompt, s.asked.GetResumed()+done
	req.Seed = proto.Uint64(s.accepted.GetSeed())
	req.NumericsId = s.accepted.GetNumericsId()
	if req.MaxTokens > 0 {
		req.MaxTokens -= done
	}
	return req // min_tokens counts the resumed ones
}
