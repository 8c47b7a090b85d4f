package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// exchange is one HTTP request and its answer.
type exchange struct {
	g        *Gateway
	endpoint string
	w        http.ResponseWriter
	r        *http.Request
	random   string // unique
	id       string // for logs: random, behind the client's own id where it sent one
	identity Identity
	started  time.Time
	times    times
	record   Record
	sent     bool // the status line is out
}

func newExchange(g *Gateway, endpoint string, w http.ResponseWriter, r *http.Request, now time.Time) *exchange {
	x := &exchange{g: g, endpoint: endpoint, w: w, r: r, started: now, random: strings.ToLower(rand.Text())}
	x.id = x.random
	w.Header().Set("X-Request-Id", x.id)
	if client := r.Header.Get("X-Request-Id"); validID(client) {
		x.rename(client)
	}
	return x
}

// rename gives the request the id that its client knows it by.
func (x *exchange) rename(client string) {
	x.id = client + "." + x.random
	x.w.Header().Set("X-Request-Id", client)
}

// options reads the body and what its kind shares with its likes.
func (x *exchange) options() (object, *options, error) {
	return x.parse(object.parseOptions)
}

// parse reads the body and its options.
func (x *exchange) parse(options func(object) (*options, error)) (object, *options, error) {
	body, err := x.body()
	if err != nil {
		return object{}, nil, err
	}
	p, err := options(body)
	if err == nil && p.requestID != "" {
		x.rename(p.requestID)
	}
	return body, p, err
}

// maxIDBytes bounds a client's request id.
const maxIDBytes = 128

// validID says whether a client's request id is fit for logs and headers.
func validID(id string) bool {
	return id != "" && len(id) <= maxIDBytes && strings.IndexFunc(id, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\\'
	}) < 0
}

// guard turns a panic into an error, which is logged with its place and answered
// as any internal one: a fault in one request must not end the others.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("gateway: panic: %v\n%s", p, debug.Stack())
	}
}

// run checks the key and serves.
func (x *exchange) run(serve func(*exchange) error) (err error) {
	defer guard(&err)
	identity, err := x.g.Auth.Authenticate(x.r.Context(), x.r.Header.Get("Authorization"))
	if err != nil {
		return &Error{Status: http.StatusUnauthorized, Code: "invalid_api_key", Message: err.Error()}
	}
	x.identity = identity
	leave, err := x.g.crowd.enter(identity.KeyID)
	if err != nil {
		return err
	}
	defer leave()
	return serve(x)
}

// finish answers with the error, if there is one, and closes the books.
func (x *exchange) finish(err error) {
	x.record.Status = http.StatusOK
	if err != nil {
		x.fail(err)
	}
	x.record.RequestID, x.record.Endpoint = x.id, x.endpoint
	x.record.Identity = x.identity
	x.record.Duration = time.Since(x.started)
	x.g.metrics.done(&x.record)
	x.g.Audit.Record(x.r.Context(), x.record)
}

// statusClientGone is what the books say of a client that went away.
const statusClientGone = 499

// fail answers with an error. Behind the status line it becomes the last event
// of the stream.
func (x *exchange) fail(err error) {
	if errors.Is(err, errGone) || x.r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		x.record.Status = statusClientGone
		return
	}
	e := errorOf(err)
	x.record.Status, x.record.Error = e.Status, err.Error()
	if e.Status >= 500 {
		x.g.Log.ErrorContext(x.r.Context(), "request failed", "request_id", x.id, "endpoint", x.endpoint, "model", x.record.Model, "error", err)
	}
	if x.sent {
		newSSE(x).fail(e)
		return
	}
	e.headers(x.w.Header())
	x.write(e.Status, e.body())
}

// answer sends a whole JSON body with status 200.
func (x *exchange) answer(body any) error {
	x.write(http.StatusOK, body)
	return nil
}

func (x *exchange) write(status int, body any) {
	b, err := marshal(body)
	if err != nil {
		x.g.Log.ErrorContext(x.r.Context(), "answer cannot be encoded", "request_id", x.id, "error", err)
		http.Error(x.w, "internal error", http.StatusInternalServerError)
		return
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.header(status)
	_, _ = x.w.Write(b) // a client that has gone is seen by its context
}

// header sends the status line, with the time the request took so far.
func (x *exchange) header(status int) {
	now, h := time.Now(), x.w.Header()
	h.Set("Openai-Processing-Ms", strconv.FormatInt(now.Sub(x.started).Milliseconds(), 10))
	if !x.times.sent.IsZero() {
		h.Set("X-Nanofleet-Queue-Ms", milliseconds(x.times.waited(now)))
		h.Set("X-Nanofleet-Overhead-Ms", milliseconds(x.times.overhead(x.started, now)))
	}
	x.w.WriteHeader(status)
	x.sent = true
}

// milliseconds with three decimals.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// marshal is JSON as OpenAI sends it: no HTML escapes, a newline at the end.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
