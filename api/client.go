package api

import (
	"bytes"
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

// Client speaks to one coordinator. It is safe for concurrent use.
type Client struct {
	base string
	key  string
	http *http.Client
}

// NewClient makes a client of the coordinator at base ("http://127.0.0.1:8080")
// that shows key. A nil transport takes the default one.
func NewClient(base, key string, transport http.RoundTripper) *Client {
	return &Client{
		base: strings.TrimRight(base, "/"),
		key:  key,
		http: &http.Client{Transport: transport},
	}
}

// Endpoint is the base URL of the OpenAI-compatible API.
func (c *Client) Endpoint() string { return c.base + "/v1" }

// Error is a refusal by the fleet, in the words it gave.
type Error struct {
	Status  int    // HTTP status
	Code    string // machine-readable, where the API gives one
	Message string
	Param   string // the field at fault
}

// Error gives the message, and the status where there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("HTTP %d %s", e.Status, http.StatusText(e.Status))
	}
	return e.Message
}

// IsNotFound tells whether err is a 404 of the fleet.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// Status asks for the fleet at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/api/v1/status", nil)
}

// Ready tells whether the coordinator can serve.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/readyz", nil, nil)
}

// Models lists the models of the key's project.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	return call[[]Model](ctx, c, http.MethodGet, "/api/v1/models", nil)
}

// RemoveModel removes a model and its versions; a deployed one is refused.
func (c *Client) RemoveModel(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/models/"+url.PathEscape(name), nil, nil)
}

// Deployments lists desired state and how far it has come.
func (c *Client) Deployments(ctx context.Context) ([]Deployment, error) {
	return call[[]Deployment](ctx, c, http.MethodGet, "/api/v1/deployments", nil)
}

// Deployment gives one.
func (c *Client) Deployment(ctx context.Context, name string) (Deployment, error) {
	return call[Deployment](ctx, c, http.MethodGet, "/api/v1/deployments/"+url.PathEscape(name), nil)
}

// Deploy states what shall run under name.
func (c *Client) Deploy(ctx context.Context, name string, spec DeploymentSpec) (Deployment, error) {
	return call[Deployment](ctx, c, http.MethodPut, "/api/v1/deployments/"+url.PathEscape(name), spec)
}

// Undeploy removes a deployment, its route and its instances.
func (c *Client) Undeploy(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/deployments/"+url.PathEscape(name), nil, nil)
}

// Keys lists API keys, revoked ones included.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return call[[]Key](ctx, c, http.MethodGet, "/api/v1/keys", nil)
}

// CreateKey makes a key; its secret is in the answer and nowhere else.
func (c *Client) CreateKey(ctx context.Context, spec KeySpec) (NewKey, error) {
	return call[NewKey](ctx, c, http.MethodPost, "/api/v1/keys", spec)
}

// RevokeKey ends a key at once.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/keys/"+url.PathEscape(id), nil, nil)
}

// Nodes lists the hosts of the fleet.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return call[[]Node](ctx, c, http.MethodGet, "/api/v1/nodes", nil)
}

// RevokeNode takes a host out of the fleet; its certificate is refused from then on.
func (c *Client) RevokeNode(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/nodes/"+url.PathEscape(id), nil, nil)
}

// CreateToken makes a join token, good for one node.
func (c *Client) CreateToken(ctx context.Context, spec TokenSpec) (Token, error) {
	return call[Token](ctx, c, http.MethodPost, "/api/v1/tokens", spec)
}

// BeginUpload announces a version and learns which chunks are missing.
func (c *Client) BeginUpload(ctx context.Context, model string, up Upload) (UploadState, error) {
	return call[UploadState](ctx, c, http.MethodPost, "/api/v1/models/"+url.PathEscape(model)+"/uploads", up)
}

// PutChunk sends chunk n of the file with digest.
func (c *Client) PutChunk(ctx context.Context, digest string, n int, data []byte) error {
	path := "/api/v1/blobs/" + url.PathEscape(digest) + "/chunks/" + strconv.Itoa(n)
	req, err := c.request(ctx, http.MethodPut, path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	return c.finish(req, nil)
}

// CommitVersion records the version once all its chunks have arrived.
func (c *Client) CommitVersion(ctx context.Context, model string, up Upload) (Version, error) {
	return call[Version](ctx, c, http.MethodPost, "/api/v1/models/"+url.PathEscape(model)+"/versions", up)
}

func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var out T
	err := c.do(ctx, method, path, body, &out)
	return out, err
}

func (c *Client) do(ctx context.Context, method, path string, body, out any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	req, err := c.request(ctx, method, path, r)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.finish(req, out)
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	return req, nil
}

func (c *Client) finish(req *http.Request, out any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return readError(resp)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// ErrUnreachable says that no coordinator answered.
var ErrUnreachable = errors.New("no coordinator answered")

// explain turns a dial failure into words that say what to do.
func (c *Client) explain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w at %s (is it running? try `nanofleet up`, or name another with --server): %v",
			ErrUnreachable, c.base, op.Err)
	}
	return err
}

// errorBody covers both forms: RFC 9457 of the management API and OpenAI's.
type errorBody struct {
	Detail string `json:"detail"`
	Title  string `json:"title"`
	Errors []struct {
		Message  string          `json:"message"`
		Location string          `json:"location"`
		Value    json.RawMessage `json:"value"`
	} `json:"errors"`
	Error *struct {
		Message string  `json:"message"`
		Code    any     `json:"code"`
		Param   *string `json:"param"`
	} `json:"error"`
}

func readError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var body errorBody
	if json.Unmarshal(b, &body) != nil {
		e.Message = plain(b)
		return e
	}
	if body.Error != nil {
		e.Message = body.Error.Message
		if s, ok := body.Error.Code.(string); ok {
			e.Code = s
		}
		if body.Error.Param != nil {
			e.Param = *body.Error.Param
		}
		return e
	}
	e.Message = body.Detail
	if e.Message == "" {
		e.Message = body.Title
	}
	for _, x := range body.Errors {
		e.Message += fmt.Sprintf("; %s: %s", x.Location, x.Message)
		if len(x.Value) > 0 {
			e.Message += " (got " + clip(string(x.Value)) + ")"
		}
	}
	return e
}

// plain is a body that is a sentence; pages of other servers are none.
func plain(b []byte) string {
	text := strings.TrimSpace(string(b))
	if len(text) > 200 || strings.ContainsAny(text, "<\n") {
		return ""
	}
	return text
}

// clip keeps a value that an error repeats short enough to read.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// WaitReady polls until the coordinator can serve or ctx ends.
func (c *Client) WaitReady(ctx context.Context, every time.Duration) error {
	for {
		err := c.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last: %v)", c.base, ctx.Err(), err)
		case <-time.After(every):
		}
	}
}
