package router

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/wire"
)

// Figures of the memory of requests that ended engines.
const (
	poisonFor = time.Hour // how long one is refused
	poisonMax = 1024      // how many are remembered; the oldest is forgotten first
)

// fingerprint names what an engine computes for a request: tenant, version, prompt and
// sampling. What only says who asks, for how much, or when, is left out.
type fingerprint [sha256.Size]byte

func fingerprintOf(version string, req *wire.GenerateRequest) (f fingerprint) {
	h := sha256.New()
	for _, s := range []string{req.GetProject(), version, req.GetAdapter()} {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(append(size[:], s...))
	}
	what := &wire.GenerateRequest{Sampling: req.GetSampling(), PromptLogprobs: req.PromptLogprobs, Pool: req.GetPool()}
	if b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(what); err == nil {
		h.Write(append(b, 0))
	}
	b := make([]byte, 0, 4*len(req.GetPrompt()))
	for _, id := range req.GetPrompt() {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	h.Write(b)
	h.Sum(f[:0])
	return f
}

// poisons are the requests that ended engines, for as long as they are refused. The
// zero value is empty.
type poisons struct {
	until map[fingerprint]time.Time
	order []fingerprint // by time of the last remembrance, oldest first
}

// remember refuses a request from now on.
func (p *poisons) remember(f fingerprint, now time.Time) {
	p.forget(now)
	if p.until == nil {
		p.until = map[fingerprint]time.Time{}
	}
	if _, known := p.until[f]; known {
		return // it was under way when another copy of it was convicted
	}
	if len(p.order) == poisonMax {
		delete(p.until, p.order[0])
		p.order = p.order[1:]
	}
	p.until[f] = now.Add(poisonFor)
	p.order = append(p.order, f)
}

// forget drops those whose time is over.
func (p *poisons) forget(now time.Time) {
	for len(p.order) > 0 && !now.Before(p.until[p.order[0]]) {
		delete(p.until, p.order[0])
		p.order = p.order[1:]
	}
}

// refused tells until when a request is refused; zero when it is not.
func (p *poisons) refused(f fingerprint, now time.Time) time.Time {
	p.forget(now)
	return p.until[f]
}
