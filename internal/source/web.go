package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// web fetches over HTTP. It follows redirects itself, so that it decides at each who
// sees the token.
type web struct {
	http  *http.Client
	token string
	home  *url.URL // the one origin that the token is for; nil for none
	stall time.Duration
}

const (
	maxRedirects = 10
	userAgent    = "nanofleet"
	defaultStall = 30 * time.Second
)

func newWeb(o Options) *web {
	rt := o.Transport
	if rt == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression = true
		t.ResponseHeaderTimeout = time.Minute
		rt = t
	}
	w := &web{stall: o.Stall, http: &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if w.stall == 0 {
		w.stall = defaultStall
	}
	return w
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// get asks for u and follows redirects; the answer is one of 200, 206 or 416, any
// other is an error. ifRange and from ask for the rest of a file that has not changed.
func (w *web) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", clip(address), errors.Unwrap(err))
	}
	for range maxRedirects + 1 {
		resp, err := w.ask(ctx, u, header)
		if err != nil {
			return nil, err
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
			return resp, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			u, err = nextHop(u, resp)
			drop(resp)
			if err != nil {
				return nil, err
			}
		default:
			defer drop(resp)
			return nil, newStatusError(u, resp)
		}
	}
	return nil, fmt.Errorf("%s: redirected more than %d times; is it a loop?", shown(address), maxRedirects)
}

func (w *web) ask(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if w.token != "" && w.home != nil && sameOrigin(u, w.home) {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // which has the URL, and so perhaps a signature
		}
		return nil, &networkError{host: u.Host, err: err}
	}
	return resp, nil
}

// nextHop reads where an answer redirects to.
func nextHop(from *url.URL, resp *http.Response) (*url.URL, error) {
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, fmt.Errorf("%s: answers %d without a place to go to", shown(from.String()), resp.StatusCode)
	}
	if to.Scheme != "http" && to.Scheme != "https" {
		return nil, fmt.Errorf("%s: redirects to a %s: address, which is not followed", shown(from.String()), clip(to.Scheme))
	}
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil, fmt.Errorf("%s: redirects from https to http at %s, where anybody between could change the file; it is not followed", shown(from.String()), to.Host)
	}
	return to, nil
}

// text reads a small file whole.
func (w *web) text(ctx context.Context, address string) (body []byte, err error) {
	err = w.patiently(ctx, func() error {
		resp, err := w.get(ctx, address, nil)
		if err != nil {
			return err
		}
		defer drop(resp)
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxText+1))
		if err != nil {
			return &networkError{host: resp.Request.URL.Host, err: err}
		}
		if len(body) > maxText {
			return fmt.Errorf("%s: has more than %d bytes", shown(address), maxText)
		}
		return nil
	})
	return body, err
}

// json reads a small JSON document.
func (w *web) json(ctx context.Context, address string, into any) error {
	body, err := w.text(ctx, address)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: is not the JSON it should be (%w); is there a login page or a proxy between?", shown(address), err)
	}
	return nil
}

// Patience with a server that fails: tries without progress, and the longest pause
// between them.
const (
	maxTries  = 6
	longPause = 30 * time.Second
)

// firstPause is that before the first repetition; a variable for tests.
var firstPause = 250 * time.Millisecond

// patiently repeats what failed for a reason that may pass.
func (w *web) patiently(ctx context.Context, try func() error) error {
	for failed := 0; ; {
		err := try()
		if err == nil || !temporary(err) {
			return err
		}
		if failed++; failed >= maxTries {
			return err
		}
		if err := pause(ctx, failed, err); err != nil {
			return err
		}
	}
}

// pause waits longer after each failure, or as long as the server asks for.
func pause(ctx context.Context, failed int, after error) error {
	wait := min(firstPause<<min(failed-1, 10), longPause)
	var status *StatusError
	if errors.As(after, &status) && status.wait > 0 {
		wait = min(status.wait, longPause)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// contentRange reads "bytes from-to/total"; total is 0 where it is not said.
func contentRange(resp *http.Response) (from, total uint64, ok bool) {
	rest, found := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
	span, size, found2 := strings.Cut(rest, "/")
	if !found || !found2 {
		return 0, 0, false
	}
	if size != "*" {
		n, err := strconv.ParseUint(size, 10, 63)
		if err != nil {
			return 0, 0, false
		}
		total = n
	}
	first, _, _ := strings.Cut(span, "-")
	if span == "*" {
		return 0, total, true
	}
	from, err := strconv.ParseUint(first, 10, 63)
	return from, total, err == nil
}

// drop lets the connection be used again where that is cheap.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}

// isLoopback tells whether what is sent to u stays on this machine.
func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
