package server

import (
	"math"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/wire"
)

// request as the engine takes it.
func request(in *wire.GenerateRequest, id string, seed uint64) *engine.Request {
	r := &engine.Request{
		ID: id, Prompt: in.GetPrompt(), MaxTokens: count(in.GetMaxTokens()), MinTokens: count(in.GetMinTokens()),
		Sampling: sampling(in.GetSampling()), Seed: seed, Choice: in.GetChoice(),
		Stop: in.GetStop(), StopTokens: in.GetStopTokens(),
		IgnoreEOS: in.GetIgnoreEos(), IncludeStop: in.GetIncludeStop(), KeepSpecial: in.GetKeepSpecial(),
		Priority: in.GetPriority(), Salt: in.GetCacheSalt(), Resumed: count(in.GetResumed()),
	}
	r.Pool = pooling(in.GetPool())
	if in.PromptLogprobs != nil {
		n := count(in.GetPromptLogprobs())
		r.PromptLogprobs = &n
	}
	if ms := in.GetDeadlineUnixMs(); ms != 0 {
		r.Deadline = time.UnixMilli(ms)
	}
	for _, b := range in.GetSampling().GetBiases() {
		r.Biases = append(r.Biases, abi.Bias{Token: b.GetToken(), Bias: b.GetBias()})
	}
	return r
}

// pooling as the engine has it; it refuses what it does not know.
func pooling(p wire.Pooling) engine.Pooling {
	switch p {
	case wire.Pooling_POOLING_NONE:
		return engine.PoolNone
	case wire.Pooling_POOLING_LAST:
		return engine.PoolLast
	case wire.Pooling_POOLING_MEAN:
		return engine.PoolMean
	}
	return engine.Pooling(-1)
}

// count keeps a number from the wire positive on every platform.
func count(n uint32) int { return int(min(n, math.MaxInt32)) }

// sampling fills in the defaults of absent fields.
func sampling(in *wire.Sampling) abi.Sampling {
	p := sample.Defaults()
	if in == nil {
		return p
	}
	p.Temperature = or(in.Temperature, p.Temperature)
	p.TopP = or(in.TopP, p.TopP)
	p.TypicalP = or(in.TypicalP, p.TypicalP)
	p.Repetition = or(in.Repetition, p.Repetition)
	p.TopK, p.MinP = in.GetTopK(), in.GetMinP()
	p.Presence, p.Frequency = in.GetPresence(), in.GetFrequency()
	p.Logprobs, p.TopLogprobs = in.GetLogprobs(), in.GetTopLogprobs()
	return p
}

func or(v *float32, absent float32) float32 {
	if v == nil {
		return absent
	}
	return *v
}

// logprobs with the bytes of each token.
func (g *generation) logprobs(in []engine.TokenLogprob) []*wire.Logprob {
	out := make([]*wire.Logprob, 0, len(in))
	for _, l := range in {
		out = append(out, &wire.Logprob{Id: l.ID, Token: g.tokens(l.ID), Logprob: l.Logprob, Rank: l.Rank, Top: g.logprobs(l.Top)})
	}
	return out
}

var reasons = map[engine.FinishReason]wire.FinishReason{
	engine.FinishStop:      wire.FinishReason_FINISH_REASON_STOP,
	engine.FinishLength:    wire.FinishReason_FINISH_REASON_LENGTH,
	engine.FinishCancelled: wire.FinishReason_FINISH_REASON_CANCELLED,
}

func finished(f engine.Finished) *wire.Finished {
	return &wire.Finished{
		Reason: reasons[f.Reason], PromptTokens: uint32(f.Prompt), CachedTokens: uint32(f.Cached),
		GeneratedTokens: uint32(f.Generated), StopString: f.StopString,
		StopToken: f.StopToken, HasStopToken: f.HasStopToken,
		QueueUs: f.Queue.Microseconds(), PrefillUs: f.Prefill.Microseconds(), DecodeUs: f.Decode.Microseconds(),
	}
}
