package store

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Source has blobs, perhaps not all.
type Source interface {
	// ReadChunk fills into with length bytes of a blob from offset.
	ReadChunk(ctx context.Context, digest string, offset, length uint64, into []byte) error
	// String names the source in errors.
	String() string
}

// stall is how long a source may send nothing before it is given up.
const stall = 30 * time.Second

// HTTPSource is a node that serves blobs on its fleet port.
type HTTPSource struct {
	Client *http.Client
	Base   string // such as https://host:port
}

// String is the base address.
func (h HTTPSource) String() string { return h.Base }

// ReadChunk asks for a byte range.
func (h HTTPSource) ReadChunk(ctx context.Context, digest string, offset, length uint64, into []byte) error {
	if uint64(len(into)) != length || length == 0 {
		return fmt.Errorf("store: a buffer of %d bytes for a chunk of %d", len(into), length)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing came for %s", stall)) })
	defer watch.Stop()
	body, err := h.get(ctx, digest, offset, length)
	if err != nil {
		return because(ctx, err)
	}
	defer body.Close()
	for at := 0; at < len(into); {
		n, err := body.Read(into[at:])
		watch.Reset(stall)
		if at += n; err != nil && at < len(into) {
			return because(ctx, fmt.Errorf("after %d of %d bytes: %w", at, length, err))
		}
	}
	return nil
}

// because adds why a request was ended from this side.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

func (h HTTPSource) get(ctx context.Context, digest string, offset, length uint64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(h.Base, "/")+"/blobs/"+digest, nil)
	if err != nil {
		return nil, err
	}
	want := fmt.Sprintf("bytes %d-%d/", offset, offset+length-1)
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	resp, err := h.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusPartialContent {
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 200))
		if err != nil {
			text = nil // the status says enough
		}
		return nil, fmt.Errorf("status %s, want 206: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, want) {
		_ = resp.Body.Close() // the answer is of no use
		return nil, fmt.Errorf("content-range %.80q, want %s", got, want)
	}
	return resp.Body, nil
}
