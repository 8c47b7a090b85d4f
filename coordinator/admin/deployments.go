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

func (s *server) deployments(a huma.API) {
	huma.Get(a, "/api/v1/deployments", s.listDeployments, describe("list-deployments", "List deployments and how far each has come"))
	huma.Get(a, "/api/v1/deployments/{name}", s.getDeployment, describe("get-deployment", "Show one deployment"))
	huma.Put(a, "/api/v1/deployments/{name}", s.putDeployment, describe("put-deployment", "State what shall run under a name"))
	huma.Delete(a, "/api/v1/deployments/{name}", s.removeDeployment, describe("remove-deployment", "Remove a deployment, its route and its instances"))
}

func (s *server) listDeployments(ctx context.Context, _ *struct{}) (*out[[]api.Deployment], error) {
	return reply(s.deploymentViews(s.Replica.Snapshot(), caller(ctx).Project)), nil
}

func (s *server) getDeployment(ctx context.Context, req *Named) (*out[api.Deployment], error) {
	snap := s.Replica.Snapshot()
	d, ok := snap.Deployment(caller(ctx).Project, req.Name)
	if !ok {
		return nil, huma.Error404NotFound(fmt.Sprintf("no deployment %q", req.Name))
	}
	return reply(s.deploymentView(snap, d)), nil
}

func (s *server) putDeployment(ctx context.Context, req *struct {
	Named
	Body api.DeploymentSpec
}) (*out[api.Deployment], error) {
	if err := checkName("name", req.Name); err != nil {
		return nil, err
	}
	project, spec := caller(ctx).Project, req.Body
	before := s.Replica.Snapshot()
	version, err := pickVersion(before, project, spec)
	if err != nil {
		return nil, err
	}
	if err := s.checkOptions(before, version, stateOptions(spec.Options)); err != nil {
		return nil, err
	}
	now := s.Now().UnixMilli()
	d := state.Deployment{
		Name: req.Name, Project: project, Model: spec.Model, Version: version.ID,
		Replicas: spec.Replicas, Options: stateOptions(spec.Options), CreatedMS: now, UpdatedMS: now,
	}
	if err := s.Replica.Apply(ctx, &state.PutDeployment{Deployment: d}); err != nil {
		return nil, problem(err)
	}
	snap := s.Replica.Snapshot()
	stored, ok := snap.Deployment(project, req.Name)
	if !ok {
		return nil, huma.Error409Conflict(fmt.Sprintf("deployment %q was removed meanwhile", req.Name))
	}
	return reply(s.deploymentView(snap, stored)), nil
}

// pickVersion resolves the spec's version, the newest when it names none.
func pickVersion(snap *state.Snapshot, project string, spec api.DeploymentSpec) (state.Version, error) {
	versions := snap.Versions(project, spec.Model)
	if len(versions) == 0 {
		return state.Version{}, huma.Error404NotFound(fmt.Sprintf("no model %q; add it with `nanofleet model add`", spec.Model))
	}
	if spec.Version == "" {
		newest := slices.MaxFunc(versions, func(a, b state.Version) int {
			return cmp.Or(cmp.Compare(a.CreatedMS, b.CreatedMS), cmp.Compare(a.ID, b.ID))
		})
		return newest, nil
	}
	for _, v := range versions {
		if v.ID == spec.Version {
			return v, nil
		}
	}
	return state.Version{}, huma.Error404NotFound(fmt.Sprintf("model %q has no version %q", spec.Model, spec.Version))
}

func (s *server) removeDeployment(ctx context.Context, req *Named) (*struct{}, error) {
	cmd := &state.RemoveDeployment{Project: caller(ctx).Project, Name: req.Name}
	if err := s.Replica.Apply(ctx, cmd); err != nil {
		return nil, problem(err)
	}
	return nil, nil
}

func (s *server) deploymentViews(snap *state.Snapshot, project string) []api.Deployment {
	list := []api.Deployment{}
	for _, d := range snap.Deployments(project) {
		list = append(list, s.deploymentView(snap, d))
	}
	return list
}

func (s *server) deploymentView(snap *state.Snapshot, d state.Deployment) api.Deployment {
	placed, problem := s.Live.Placed(d.Project, d.Name)
	view := api.Deployment{
		Name: d.Name, Model: d.Model, Version: d.Version, Replicas: d.Replicas,
		Options: apiOptions(d.Options), Instances: []api.Instance{},
		Problem: problem, Queued: s.Live.Queued(d.Project, d.Name), Created: at(d.CreatedMS), Updated: at(d.UpdatedMS),
		Generation: d.Generation, Placed: placed,
	}
	for _, i := range snap.InstancesOf(d.Project, d.Name) {
		iv := s.instanceView(i)
		iv.Old = i.Version != d.Version || s.Live.Old(i.ID)
		if iv.State == "ready" && !iv.Old {
			view.Ready++
		}
		view.Instances = append(view.Instances, iv)
	}
	return view
}

func (s *server) instanceView(i state.Instance) api.Instance {
	view := api.Instance{
		ID: i.ID, Deployment: i.Deployment, Version: i.Version, Node: i.Node, Device: i.Device,
		State: "unknown", Footprint: footprintView(i.Footprint),
	}
	live, ok := s.Live.Instance(i.ID)
	if !ok {
		return view
	}
	view.State, view.Since, view.Message, view.Restarts = live.State, live.Since, live.Message, live.Restarts
	showProgress(&view, live)
	view.Numerics, view.Running, view.Waiting, view.Decode = live.Numerics, live.Running, live.Waiting, live.DecodeRate
	return view
}

// phaseWarm makes no progress in bytes.
const phaseWarm = "warm"

// showProgress says how far a phase is, and how long it goes on at its present rate.
func showProgress(view *api.Instance, live InstanceView) {
	view.Phase = live.Phase
	if live.Total == 0 || live.Phase == phaseWarm {
		return
	}
	view.Done, view.Total, view.Rate = min(live.Done, live.Total), live.Total, live.Rate
	view.Progress = float64(view.Done) / float64(view.Total)
	if view.Rate > 0 {
		view.Left = float64(view.Total-view.Done) / view.Rate
	}
}

func footprintView(f state.Footprint) api.Footprint {
	return api.Footprint{Weights: f.Weights, KV: f.KV, Activations: f.Activations, Workspace: f.Workspace, Total: f.Total()}
}

// The two option structs have the same fields in the same order, which makes the
// conversion a compile-time check that neither forgets one.
func stateOptions(o api.EngineOptions) state.EngineOptions { return state.EngineOptions(o) }
func apiOptions(o state.EngineOptions) api.EngineOptions   { return api.EngineOptions(o) }
