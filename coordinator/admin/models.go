package admin

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// chunkMax is the largest chunk an upload may use, and so the largest body.
const chunkMax = 64 << 20

func (s *server) models(a huma.API) {
	huma.Get(a, "/api/v1/models", s.listModels, describe("list-models", "List models and their versions"))
	huma.Post(a, "/api/v1/models/{name}/uploads", s.beginUpload, describe("begin-upload", "Announce the files of a version and learn which chunks are missing"), bigBody)
	huma.Put(a, "/api/v1/blobs/{digest}/chunks/{n}", s.putChunk, describe("put-chunk", "Send one chunk of an announced file"), bigBody)
	huma.Post(a, "/api/v1/models/{name}/versions", s.commitVersion, describe("commit-version", "Record a version once all its chunks have arrived"), bigBody, created)
	huma.Get(a, "/api/v1/models/{name}/versions/{version}/inspection", s.inspectVersion, describe("inspect-version", "Tell what a version's files say"))
	huma.Post(a, "/api/v1/models/{name}/versions/{version}/plan", s.planVersion, describe("plan-version", "Compute what a version needs on a device, before anything is loaded"))
	huma.Delete(a, "/api/v1/models/{name}", s.removeModel, describe("remove-model", "Remove a model and its versions"))
}

// bigBody admits chunks and the manifests of large models.
func bigBody(op *huma.Operation) { op.MaxBodyBytes = chunkMax }

// Named is a request whose path names a model or deployment. It is exported because
// the API framework fills exported fields alone, embedded ones too.
type Named struct {
	Name string `path:"name" maxLength:"128"`
}

func (s *server) listModels(ctx context.Context, _ *struct{}) (*out[[]api.Model], error) {
	snap, project := s.Replica.Snapshot(), caller(ctx).Project
	list := []api.Model{}
	for _, m := range snap.Models(project) {
		view := api.Model{Name: m.Name, Created: at(m.CreatedMS), Versions: []api.Version{}}
		for _, v := range snap.Versions(project, m.Name) {
			view.Versions = append(view.Versions, versionView(v))
		}
		slices.SortStableFunc(view.Versions, func(a, b api.Version) int {
			return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
		})
		list = append(list, view)
	}
	return reply(list), nil
}

func (s *server) beginUpload(ctx context.Context, req *struct {
	Named
	Body api.Upload
}) (*out[api.UploadState], error) {
	if err := checkName("name", req.Name); err != nil {
		return nil, err
	}
	st, err := s.Registry.Begin(ctx, caller(ctx).Project, req.Name, stateFiles(req.Body.Files))
	if err != nil {
		return nil, problem(err)
	}
	return reply(st), nil
}

func (s *server) putChunk(ctx context.Context, req *struct {
	Digest  string `path:"digest" pattern:"^sha256:[0-9a-f]{64}$"`
	N       int    `path:"n" minimum:"0"`
	RawBody []byte `contentType:"application/octet-stream"`
}) (*struct{}, error) {
	if err := s.Registry.PutChunk(ctx, req.Digest, req.N, req.RawBody); err != nil {
		return nil, problem(err)
	}
	return nil, nil
}

func (s *server) commitVersion(ctx context.Context, req *struct {
	Named
	Body api.Upload
}) (*out[api.Version], error) {
	if err := checkName("name", req.Name); err != nil {
		return nil, err
	}
	v, err := s.Registry.Commit(ctx, caller(ctx).Project, req.Name, stateFiles(req.Body.Files))
	if err != nil {
		return nil, problem(err)
	}
	if known, ok := s.Replica.Snapshot().Version(v.ID); ok {
		return reply(versionView(known)), nil // adding the same again changes nothing
	}
	v.CreatedMS = s.Now().UnixMilli()
	v.Origin = state.Origin(req.Body.Origin)
	if err := s.Replica.Apply(ctx, &state.AddModelVersion{Version: v}); err != nil {
		return nil, problem(err)
	}
	return reply(versionView(v)), nil
}

func (s *server) removeModel(ctx context.Context, req *Named) (*struct{}, error) {
	project := caller(ctx).Project
	removed := s.Replica.Snapshot().Versions(project, req.Name)
	if err := s.Replica.Apply(ctx, &state.RemoveModel{Project: project, Name: req.Name}); err != nil {
		return nil, problem(err)
	}
	if err := s.Registry.Forget(removed, allVersions(s.Replica.Snapshot())); err != nil {
		return nil, problem(err)
	}
	return nil, nil
}

// allVersions of every project.
func allVersions(snap *state.Snapshot) []state.Version {
	var list []state.Version
	for _, m := range snap.Models("") {
		list = append(list, snap.Versions(m.Project, m.Name)...)
	}
	return list
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._:-]{0,127}$`)

// checkName keeps names printable in URLs, shells and tables. The state machine has
// the same rule; here it is asked before a model's bytes are sent.
func checkName(field, name string) error {
	if !nameForm.MatchString(name) {
		return huma.Error422UnprocessableEntity(fmt.Sprintf(
			"%s: %q, must be 1 to 128 of letters, digits and . _ : - and begin with a letter or digit", field, name))
	}
	return nil
}

func stateFiles(files []api.File) []state.File {
	out := make([]state.File, len(files))
	for i, f := range files {
		out[i] = state.File{Path: f.Path, Size: f.Size, Digest: f.Digest, ChunkSize: f.ChunkSize, Chunks: f.Chunks}
	}
	return out
}

func versionView(v state.Version) api.Version {
	view := api.Version{
		ID: v.ID, Model: v.Model, Architecture: v.Info.Architecture, Format: v.Info.Format,
		Parameters: v.Info.Parameters, Context: v.Info.Context, Quantisation: v.Info.Quantisation,
		HasTemplate: v.Info.HasTemplate, Pooling: v.Info.Pooling, Origin: api.Origin(v.Origin), Created: at(v.CreatedMS),
	}
	for _, f := range v.Files {
		view.Size += f.Size
	}
	return view
}
