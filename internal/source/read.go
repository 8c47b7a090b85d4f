package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

// Read gives n bytes of a file from offset on, without fetching the file. A server
// that knows no ranges is read up to their end.
func (m *Model) Read(ctx context.Context, file int, offset, n uint64) ([]byte, error) {
	f := &m.Files[file]
	if offset > f.Size || n > f.Size-offset {
		return nil, fmt.Errorf("%s: it has %d bytes, asked for %d from %d on", f.Path, f.Size, n, offset)
	}
	if n == 0 {
		return nil, nil
	}
	if f.Local != "" {
		return readAt(f.Local, offset, n)
	}
	var out []byte
	err := m.web.patiently(ctx, func() (err error) {
		out, err = m.web.span(ctx, f, offset, n)
		return err
	})
	return out, m.explained(err)
}

func readAt(path string, offset, n uint64) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := make([]byte, n)
	if _, err := r.ReadAt(out, int64(offset)); err != nil {
		return nil, err
	}
	return out, nil
}

// span reads a range of a file from its server.
func (w *web) span(ctx context.Context, f *File, offset, n uint64) ([]byte, error) {
	resp, err := w.get(ctx, f.url, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+n-1)}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := checkContent(f, resp.Header); err != nil {
		return nil, err
	}
	switch from, _, ok := contentRange(resp); {
	case resp.StatusCode == http.StatusOK:
		if _, err := io.CopyN(io.Discard, resp.Body, int64(offset)); err != nil {
			return nil, &networkError{host: resp.Request.URL.Host, err: err}
		}
	case resp.StatusCode != http.StatusPartialContent || !ok || from != offset:
		return nil, fmt.Errorf("%s: the server was asked for byte %d and answers %d with %q", shown(f.url), offset, resp.StatusCode, clip(resp.Header.Get("Content-Range")))
	}
	out := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, out); err != nil {
		return nil, &networkError{host: resp.Request.URL.Host, err: err}
	}
	return out, nil
}
