package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// Caller is who asks.
type Caller struct {
	KeyID   string
	Project string
}

// Authenticator tells who an Authorization header belongs to. It returns an error
// that may be shown when the key is absent, unknown or revoked, or not of the admin
// role.
type Authenticator interface {
	AuthenticateAdmin(ctx context.Context, header string) (Caller, error)
}

// Replica applies commands and gives snapshots of the result.
type Replica interface {
	Apply(ctx context.Context, cmd state.Command) error
	Snapshot() *state.Snapshot
	Leader() string
}

// Registry takes in model files.
type Registry interface {
	// Begin opens (or resumes) the upload of files and says which chunks it lacks.
	Begin(ctx context.Context, project, model string, files []state.File) (api.UploadState, error)
	PutChunk(ctx context.Context, digest string, n int, data []byte) error
	// Commit verifies the files and describes the version they make.
	Commit(ctx context.Context, project, model string, files []state.File) (state.Version, error)
	// Inspect tells what a version's files say, Plan what it needs on a device.
	Inspect(v state.Version, tensors bool) (api.Inspection, error)
	Plan(v state.Version, spec api.PlanSpec) (api.Plan, error)
	// Possible refuses options that a version could meet on none of the devices.
	Possible(v state.Version, o state.EngineOptions, devices []state.Device) error
	// Forget drops the bytes of removed versions that no recorded one names.
	Forget(removed, recorded []state.Version) error
}

// Live is what the agents reported last.
type Live interface {
	Instance(id string) (InstanceView, bool)
	Node(id string) (NodeView, bool)
	// Placed says for which generation of a deployment instances were placed last, and
	// why some are missing; Old tells of one that waits for its replacement.
	Placed(project, deployment string) (generation uint64, problem string)
	Old(instance string) bool
	// Queued counts the requests that wait for a model name.
	Queued(project, model string) int
}

// InstanceView is the last word of an agent about one instance.
type InstanceView struct {
	State            string
	Message          string
	Since            time.Time
	Phase            string
	Done, Total      uint64  // bytes of the phase
	Rate             float64 // bytes per second; 0 = not known
	Restarts         uint32
	Numerics         string
	Running, Waiting uint32
	DecodeRate       float64
}

// NodeView is what is known of a node beyond its registration.
type NodeView struct {
	Connected bool
	LastSeen  time.Time
}

// Deps are what the API needs.
type Deps struct {
	Replica  Replica
	Registry Registry
	Live     Live
	Auth     Authenticator
	Now      func() time.Time
	NewID    func() string
	// CAHash pins the fleet's certificate authority in join tokens.
	CAHash  [32]byte
	Version string

	slowest pace // zero: defaultPace
}

func (d Deps) pace() pace {
	if d.slowest == (pace{}) {
		return defaultPace
	}
	return d.slowest
}

type server struct{ Deps }

// Mount registers the API, its document and its page on mux.
func Mount(mux *http.ServeMux, deps Deps) huma.API {
	cfg := huma.DefaultConfig("nanofleet management API", deps.Version)
	cfg.DocsPath = "" // our own page needs no network
	cfg.CreateHooks = nil
	cfg.SchemasPath = ""
	cfg.Info.Description = "What operators read and change. The OpenAI-compatible API for applications is served beside it under /v1."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "an API key of the admin role"},
	}
	cfg.Security = []map[string][]string{{"key": {}}}
	a := humago.New(mux, cfg)
	s := &server{deps}
	a.UseMiddleware(s.authenticate(a), deps.pace().body)
	s.models(a)
	s.deployments(a)
	s.keys(a)
	s.fleet(a)
	mux.HandleFunc("GET /docs", docsPage)
	return a
}

type callerKey struct{}

// caller of an authenticated request.
func caller(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

func (s *server) authenticate(a huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		c, err := s.Auth.AuthenticateAdmin(ctx.Context(), ctx.Header("Authorization"))
		if err != nil {
			p := problem(err).(huma.StatusError)
			_ = huma.WriteErr(a, ctx, p.GetStatus(), p.Error())
			return
		}
		next(huma.WithValue(ctx, callerKey{}, c))
	}
}

// in and out are the shapes of operations that carry a body.
type in[T any] struct{ Body T }
type out[T any] struct{ Body T }

func reply[T any](v T) *out[T] { return &out[T]{Body: v} }

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
