package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// StatusError is a server's refusal.
type StatusError struct {
	Status  int
	URL     string // without credentials and query
	Code    string // X-Error-Code, which a Hub gives
	Message string // X-Error-Message
	wait    time.Duration
}

// Error says what the server answered.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: answers %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

func newStatusError(u *url.URL, resp *http.Response) *StatusError {
	e := &StatusError{Status: resp.StatusCode, URL: shown(u.String()),
		Code: clip(resp.Header.Get("X-Error-Code")), Message: clip(resp.Header.Get("X-Error-Message"))}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		e.wait = time.Duration(min(n, 3600)) * time.Second
	}
	return e
}

// networkError is a connection that failed; another try may do better.
type networkError struct {
	host string
	err  error
}

func (e *networkError) Error() string { return fmt.Sprintf("%s: %v", e.host, e.err) }
func (e *networkError) Unwrap() error { return e.err }

// errStalled ends a download that gives nothing.
var errStalled = errors.New("no bytes have come for a while")

// temporary tells whether the same request may succeed later.
func temporary(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Status == http.StatusRequestTimeout || status.Status == http.StatusTooManyRequests || status.Status >= 500
	}
	var network *networkError
	if !errors.As(err, &network) || errors.Is(err, context.Canceled) && !errors.Is(err, errStalled) {
		return false
	}
	return !lasting(err)
}

// shown is an address without what may be secret: user, password and query.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return clip(address)
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return clip(u.String())
}

// clip keeps what a stranger said short enough to repeat, on one line.
func clip(s string) string {
	const most = 240
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '.'
		}
		return r
	}, s)
}
