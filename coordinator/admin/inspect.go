package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// OfVersion is a request whose path names a version, or the newest one. It is exported
// because the API framework fills exported fields alone.
type OfVersion struct {
	Named
	Version string `path:"version" maxLength:"128" doc:"version id, or newest"`
}

func (s *server) inspectVersion(ctx context.Context, req *struct {
	OfVersion
	Tensors bool `query:"tensors" doc:"list every tensor"`
}) (*out[api.Inspection], error) {
	v, err := s.version(ctx, req.OfVersion)
	if err != nil {
		return nil, err
	}
	in, err := s.Registry.Inspect(v, req.Tensors)
	if err != nil {
		return nil, problem(err)
	}
	in.Name = v.Model + "@" + v.ID
	in.Origin = api.Origin(v.Origin)
	in.Licence = cmp.Or(in.Licence, v.Origin.Licence)
	return reply(in), nil
}

func (s *server) planVersion(ctx context.Context, req *struct {
	OfVersion
	Body api.PlanSpec
}) (*out[api.Plan], error) {
	v, err := s.version(ctx, req.OfVersion)
	if err != nil {
		return nil, err
	}
	p, err := s.Registry.Plan(v, req.Body)
	if err != nil {
		return nil, problem(err)
	}
	return reply(p), nil
}

// version finds the one that a path names.
func (s *server) version(ctx context.Context, req OfVersion) (state.Version, error) {
	list := s.Replica.Snapshot().Versions(caller(ctx).Project, req.Name)
	if len(list) == 0 {
		return state.Version{}, huma.Error404NotFound(fmt.Sprintf("name: no model %q; `nanofleet model ls` lists them", req.Name))
	}
	if req.Version == "newest" {
		return slices.MaxFunc(list, func(a, b state.Version) int {
			return cmp.Or(cmp.Compare(a.CreatedMS, b.CreatedMS), cmp.Compare(b.ID, a.ID))
		}), nil
	}
	for _, v := range list {
		if v.ID == req.Version {
			return v, nil
		}
	}
	return state.Version{}, huma.Error404NotFound(fmt.Sprintf("version: %s has no version %q; `nanofleet model ls` lists them", req.Name, req.Version))
}
