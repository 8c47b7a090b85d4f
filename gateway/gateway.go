package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nanofleet/nanofleet/wire"
)

// Identity is whom a request speaks for.
type Identity struct {
	KeyID   string
	Project string
}

// Authenticator tells whose credential an Authorization header holds. Its
// errors are answered with 401 and their text, which must be fit to show.
type Authenticator interface {
	Authenticate(ctx context.Context, header string) (Identity, error)
}

// Catalog knows the models that a project may name. Resolve returns ErrNoModel
// for a name it has not.
type Catalog interface {
	Resolve(project, model string) (*Model, error)
	List(project string) []ModelInfo
}

// Router runs one sequence on some instance of a model. Its errors, and those
// of its streams, reach the client as they are when they are an *Error, and as
// a plain 500 otherwise. The model is the name that apps use. Generate may wait
// for room; it gives up when ctx ends.
type Router interface {
	Generate(ctx context.Context, model string, req *wire.GenerateRequest) (Stream, error)
}

// Stream is what a sequence produces: Recv returns io.EOF after the Finished
// event, and fails as soon as the context of Generate ends. Close frees the
// sequence wherever it stands; the gateway calls it once, from the goroutine that
// calls Recv, and may do so without waiting for io.EOF.
type Stream interface {
	Recv() (*wire.GenerateEvent, error)
	Close() error
}

// Deps are the surroundings of a gateway. All are required but those that say what
// their zero means.
type Deps struct {
	Auth    Authenticator
	Catalog Catalog
	Router  Router
	Limit   Limiter
	Audit   Auditor
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Aliases prometheus.Registerer // takes the metrics under vLLM's names; nil: they are not kept
	AtOnce  int                   // requests of one key under way at once; 0: any number
}

// Gateway serves /v1/. It is safe for concurrent use.
type Gateway struct {
	Deps
	metrics   *metrics
	aliases   *aliases
	crowd     *crowd
	mux       *http.ServeMux
	keepAlive time.Duration
}

// Paths are those that a gateway serves: everything below the ones that end in a slash.
var Paths = []string{"/v1/", "/tokenize", "/detokenize"}

// New makes the handler of everything under Paths and registers its metrics.
func New(d Deps) *Gateway {
	g := &Gateway{
		Deps: d, metrics: newMetrics(d.Metrics), aliases: newAliases(d.Aliases),
		crowd: &crowd{most: d.AtOnce, present: map[string]int{}}, mux: http.NewServeMux(), keepAlive: keepAlive,
	}
	g.handle("POST /v1/chat/completions", "chat", g.chatCompletions)
	g.handle("POST /v1/completions", "completions", g.completions)
	g.handle("POST /v1/embeddings", "embeddings", g.embeddings)
	for _, prefix := range []string{"", "/v1"} {
		g.handle("POST "+prefix+"/tokenize", "tokenize", g.tokenize)
		g.handle("POST "+prefix+"/detokenize", "detokenize", g.detokenize)
	}
	g.handle("GET /v1/models", "models", g.listModels)
	g.handle("GET /v1/models/{model...}", "models", g.showModel)
	for _, path := range Paths {
		g.handle(path, "unknown", unknownPath)
	}
	return g
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// handle mounts an endpoint behind what all share: ids, the key check, metrics
// and errors.
func (g *Gateway) handle(pattern, endpoint string, serve func(*exchange) error) {
	g.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := newExchange(g, endpoint, w, r, time.Now())
		x.finish(x.run(serve))
	})
}

// allowed are the methods of the paths that exist.
var allowed = map[string]string{
	"/v1/chat/completions": http.MethodPost,
	"/v1/completions":      http.MethodPost,
	"/v1/embeddings":       http.MethodPost,
	"/v1/tokenize":         http.MethodPost,
	"/v1/detokenize":       http.MethodPost,
	"/tokenize":            http.MethodPost,
	"/detokenize":          http.MethodPost,
	"/v1/models":           http.MethodGet,
}

// unknownPath answers what no endpoint serves.
func unknownPath(x *exchange) error {
	if method, ok := allowed[x.r.URL.Path]; ok {
		x.w.Header().Set("Allow", method)
		return &Error{Status: http.StatusMethodNotAllowed, Message: "Not allowed to " + x.r.Method + " on " + x.r.URL.Path + " (HINT: use " + method + ")"}
	}
	return &Error{Status: http.StatusNotFound, Code: "unknown_url", Message: "Unknown request URL: " + x.r.Method + " " + x.r.URL.Path}
}
