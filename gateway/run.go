package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/nanofleet/nanofleet/wire"
)

// run reserves what the job may use, runs its sequences and answers.
func (j *job) run(x *exchange, s shape) error {
	x.record.Streamed = j.stream
	settle, err := x.g.Limit.Reserve(x.r.Context(), x.identity, j.model.Name, j.tokens())
	if err != nil {
		return err
	}
	f := newFlow(x, j.model.Name, j.sequences(x))
	defer func() {
		f.stop()
		spent := j.spent(f.counts)
		settle(spent)
		if u := j.usage(f.counts); spent > 0 {
			x.record.Prompt, x.record.Cached, x.record.Generated = u.Prompt, u.Details.Cached, u.Completion
		}
	}()
	a := &answer{x: x, job: j, flow: f, shape: s, id: s.idPrefix() + x.random, created: x.started.Unix()}
	if j.stream {
		return a.stream()
	}
	return a.whole()
}

// answer is what the whole and the streamed form of an answer share.
type answer struct {
	x       *exchange
	job     *job
	flow    *flow
	shape   shape
	id      string
	created int64
	print   string // system_fingerprint; "": null
}

// accept takes note of which numerics an answer comes from.
func (a *answer) accept(w *wire.Accepted) {
	if id := w.GetNumericsId(); id != "" && a.print == "" {
		a.print = fingerprint(id)
	}
}

// fingerprint names the numerics that an answer with the same seed repeats on.
func fingerprint(numerics string) string {
	sum := sha256.Sum256([]byte(numerics))
	return "fp_" + hex.EncodeToString(sum[:5])
}

// finishReason is how OpenAI's API says why a sequence ended.
func finishReason(f *wire.Finished) (string, error) {
	switch f.GetReason() {
	case wire.FinishReason_FINISH_REASON_STOP:
		return "stop", nil
	case wire.FinishReason_FINISH_REASON_LENGTH:
		return "length", nil
	case wire.FinishReason_FINISH_REASON_CANCELLED:
		return "", &Error{Status: http.StatusServiceUnavailable, Code: "service_unavailable", Message: "The server cancelled this request before it was done. Please try again."}
	}
	return "", fmt.Errorf("gateway: finish reason %s", f.GetReason())
}
