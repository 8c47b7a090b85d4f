package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/nanofleet/nanofleet/wire"
)

// run starts the job and answers.
func (j *job) run(x *exchange, s shape) error {
	x.record.Streamed = j.stream
	f, end, err := j.begin(x)
	if err != nil {
		return err
	}
	defer end()
	a := &answer{x: x, job: j, flow: f, shape: s, id: s.idPrefix() + x.random, created: x.started.Unix()}
	if j.stream {
		return a.stream()
	}
	return a.whole()
}

// begin reserves what the job may use and starts its sequences; end stops them and
// settles what they used.
func (j *job) begin(x *exchange) (f *flow, end func(), err error) {
	settle, err := x.g.Limit.Reserve(x.r.Context(), x.identity, j.model.Name, j.tokens())
	if err != nil {
		return nil, nil, err
	}
	f = newFlow(x, j)
	return f, func() {
		f.stop()
		spent := j.spent(f.counts)
		settle(spent)
		if u := j.usage(f.counts); spent > 0 {
			x.record.Prompt, x.record.Cached, x.record.Generated = u.Prompt, u.Details.Cached, u.Completion
		}
	}, nil
}

// rawJSON is a value that is JSON already; without any it is null.
type rawJSON = json.RawMessage

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

// errPromptLogprobs says that an engine gave fewer of them than the prompt has tokens.
var errPromptLogprobs = errors.New("gateway: an engine gave no logprobs of the prompt")

// lacks is how many logprobs of a prompt are yet to come from a sequence.
func (j *job) lacks(i int, have []*wire.Logprob) int {
	if j.askTop == nil || i != j.lead(i) {
		return 0
	}
	return max(len(j.prompts[i/j.candidates])-1-len(have), 0)
}

// ending says why a sequence ended, as OpenAI's API does, and as vLLM's adds to it:
// which of the request's own stop strings or tokens it was, if it was one.
func (j *job) ending(f *wire.Finished) (reason string, stop rawJSON, err error) {
	if reason, err = finishReason(f); err != nil {
		return "", nil, err
	}
	switch {
	case j.scoring:
		return "length", nil, nil
	case f.GetStopString() != "":
		return reason, appendString(nil, []byte(f.GetStopString())), nil
	case f.GetHasStopToken() && slices.Contains(j.stopTokens, f.GetStopToken()):
		return reason, strconv.AppendInt(nil, int64(f.GetStopToken()), 10), nil
	}
	return reason, nil, nil
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
