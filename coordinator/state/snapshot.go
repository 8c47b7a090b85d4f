package state

import "github.com/hashicorp/go-memdb"

// Snapshot is the state at one index. It is safe for concurrent use; what it returns
// shares slices with the state and must not be changed. Lists are ordered by name or
// id and nil when empty.
type Snapshot struct {
	index   uint64
	db      *memdb.MemDB
	changed <-chan struct{}
}

func (s *Snapshot) read() reader { return reader{s.db.Txn(false)} }

// Index of the last command in it.
func (s *Snapshot) Index() uint64 { return s.index }

// Watch gives a channel that is closed once there is a newer state.
func (s *Snapshot) Watch() <-chan struct{} { return s.changed }

// Project by id.
func (s *Snapshot) Project(id string) (Project, bool) {
	return found(one[Project](s.read(), tableProjects, byID, id))
}

// Projects of the fleet.
func (s *Snapshot) Projects() []Project { return values(all[Project](s.read(), tableProjects, byID)) }

// Key by id.
func (s *Snapshot) Key(id string) (Key, bool) {
	return found(one[Key](s.read(), tableKeys, byID, id))
}

// KeyByHash finds the key with the hex sha256 of a secret; it may be revoked.
func (s *Snapshot) KeyByHash(hash string) (Key, bool) {
	return found(one[Key](s.read(), tableKeys, byHash, hash))
}

// Keys of a project, revoked ones included; "" gives those of all projects.
func (s *Snapshot) Keys(project string) []Key {
	return ofProject[Key](s.read(), tableKeys, project)
}

// JoinToken by id.
func (s *Snapshot) JoinToken(id string) (JoinToken, bool) {
	return found(one[JoinToken](s.read(), tableTokens, byID, id))
}

// JoinTokens of the fleet, used and expired ones included.
func (s *Snapshot) JoinTokens() []JoinToken {
	return values(all[JoinToken](s.read(), tableTokens, byID))
}

// Node by id; it may be revoked.
func (s *Snapshot) Node(id string) (Node, bool) {
	return found(one[Node](s.read(), tableNodes, byID, id))
}

// Nodes of the fleet, revoked ones included.
func (s *Snapshot) Nodes() []Node { return values(all[Node](s.read(), tableNodes, byID)) }

// Model of a project by name.
func (s *Snapshot) Model(project, name string) (Model, bool) {
	return found(one[Model](s.read(), tableModels, byID, project, name))
}

// Models of a project; "" gives those of all projects.
func (s *Snapshot) Models(project string) []Model {
	return ofProject[Model](s.read(), tableModels, project)
}

// Version by id.
func (s *Snapshot) Version(id string) (Version, bool) {
	return found(one[Version](s.read(), tableVersions, byID, id))
}

// Versions of a model, by id.
func (s *Snapshot) Versions(project, model string) []Version {
	return values(all[Version](s.read(), tableVersions, byModel, project, model))
}

// Deployment of a project by name.
func (s *Snapshot) Deployment(project, name string) (Deployment, bool) {
	return found(one[Deployment](s.read(), tableDeployments, byID, project, name))
}

// Deployments of a project; "" gives those of all projects.
func (s *Snapshot) Deployments(project string) []Deployment {
	return ofProject[Deployment](s.read(), tableDeployments, project)
}

// Instance by id.
func (s *Snapshot) Instance(id string) (Instance, bool) {
	return found(one[Instance](s.read(), tableInstances, byID, id))
}

// Instances of the fleet.
func (s *Snapshot) Instances() []Instance {
	return values(all[Instance](s.read(), tableInstances, byID))
}

// InstancesOf a deployment.
func (s *Snapshot) InstancesOf(project, deployment string) []Instance {
	return values(all[Instance](s.read(), tableInstances, byDeployment, project, deployment))
}

// InstancesOn a node.
func (s *Snapshot) InstancesOn(node string) []Instance {
	return values(all[Instance](s.read(), tableInstances, byNode, node))
}

// Route of a project by its public model name.
func (s *Snapshot) Route(project, name string) (Route, bool) {
	return found(one[Route](s.read(), tableRoutes, byID, project, name))
}

// Routes of a project; "" gives those of all projects.
func (s *Snapshot) Routes(project string) []Route {
	return ofProject[Route](s.read(), tableRoutes, project)
}

func ofProject[T any](r reader, table, project string) []T {
	if project == "" {
		return values(all[T](r, table, byID))
	}
	return values(all[T](r, table, byProject, project))
}

func found[T any](row *T) (T, bool) {
	if row == nil {
		var zero T
		return zero, false
	}
	return *row, true
}

func values[T any](rows []*T) []T {
	if len(rows) == 0 {
		return nil
	}
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = *r
	}
	return out
}
