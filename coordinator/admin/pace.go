package admin

import (
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// pace is how slowly a body may come: everybody gets patience, and each byte that was
// announced its time besides. A body of unknown length has patience alone.
type pace struct {
	patience time.Duration
	slowest  int64 // bytes per second
}

var defaultPace = pace{patience: 30 * time.Second, slowest: 32 << 10}

func (p pace) within(announced int64) time.Duration {
	return p.patience + time.Duration(max(0, announced)/p.slowest)*time.Second
}

// body replaces a request's body by one that must come at a pace.
func (p pace) body(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &pacedBody{ReadCloser: r.Body, control: http.NewResponseController(w), within: p.within(r.ContentLength)}
	}
	next(ctx)
}

// pacedBody gives each read the same end. net/http lifts it once the whole body is here:
// what is done with it may take longer.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	within  time.Duration
	end     time.Time
}

// Read fails once the body is late.
func (b *pacedBody) Read(p []byte) (int, error) {
	if b.end.IsZero() {
		b.end = time.Now().Add(b.within)
	}
	_ = b.control.SetReadDeadline(b.end) // not every writer has deadlines
	return b.ReadCloser.Read(p)
}
