package state

import (
	"fmt"
	"strings"
)

// Check names every invariant that is broken: rows that are out of bounds, and rows
// that point to what is not there. A healthy state gives none.
func (s *Store) Check() []error { return s.Snapshot().Check() }

// Check is Store.Check of this snapshot.
func (s *Snapshot) Check() []error {
	c := &checker{reader: s.read()}
	c.want(one[Project](c.reader, tableProjects, byID, DefaultProject) != nil, "project %q is missing", DefaultProject)
	rows(c, tableProjects, func(p *Project) { c.take(p.check()) })
	rows(c, tableKeys, c.key)
	rows(c, tableTokens, func(t *JoinToken) { c.take(t.check()) })
	rows(c, tableNodes, func(n *Node) { c.take(n.check()) })
	rows(c, tableModels, c.model)
	rows(c, tableVersions, c.version)
	rows(c, tableDeployments, c.deployment)
	rows(c, tableInstances, c.instance)
	rows(c, tableRoutes, c.route)
	return c.broken
}

type checker struct {
	reader
	broken []error
}

func rows[T any](c *checker, table string, visit func(*T)) {
	for _, row := range all[T](c.reader, table, byID) {
		visit(row)
	}
}

func (c *checker) take(err error) {
	if err != nil {
		c.broken = append(c.broken, fmt.Errorf("state: %w", err))
	}
}

func (c *checker) want(ok bool, format string, args ...any) {
	if !ok {
		c.broken = append(c.broken, fmt.Errorf("state: "+format, args...))
	}
}

func (c *checker) project(kind, name, project string) {
	c.want(one[Project](c.reader, tableProjects, byID, project) != nil,
		"%s %q is of project %q, which is not there", kind, name, project)
}

func (c *checker) key(k *Key) {
	c.take(k.check())
	c.project("key", k.ID, k.Project)
	same := one[Key](c.reader, tableKeys, byHash, k.Hash)
	c.want(same != nil && same.ID == k.ID, "key %q has the secret of another", k.ID)
}

func (c *checker) model(m *Model) {
	c.take(m.check())
	c.project("model", m.Name, m.Project)
	c.want(one[Version](c.reader, tableVersions, byModel, m.Project, m.Name) != nil,
		"model %q has no version", m.Name)
}

func (c *checker) version(v *Version) {
	c.take(v.check())
	c.want(one[Model](c.reader, tableModels, byID, v.Project, v.Model) != nil,
		"version %q is of model %q, which is not there", v.ID, v.Model)
}

// ofModel checks that a version is there and belongs to the model.
func (c *checker) ofModel(kind, name, project, model, version string) {
	v := one[Version](c.reader, tableVersions, byID, version)
	c.want(v != nil && v.Project == project && v.Model == model,
		"%s %q is of version %q of model %q, which is not there", kind, name, version, model)
}

func (c *checker) deployment(d *Deployment) {
	c.take(d.check())
	c.project("deployment", d.Name, d.Project)
	c.ofModel("deployment", d.Name, d.Project, d.Model, d.Version)
}

func (c *checker) instance(i *Instance) {
	c.take(i.check())
	c.ofModel("instance", i.ID, i.Project, i.Model, i.Version)
	c.want(one[Deployment](c.reader, tableDeployments, byID, i.Project, i.Deployment) != nil,
		"instance %q is of deployment %q, which is not there", i.ID, i.Deployment)
	n := one[Node](c.reader, tableNodes, byID, i.Node)
	c.want(n != nil && n.RevokedMS == 0, "instance %q is on node %q, which is not there or revoked", i.ID, i.Node)
}

func (c *checker) route(r *Route) {
	c.take(r.check())
	c.project("route", r.Name, r.Project)
	var gone []string
	for _, t := range r.Targets {
		if one[Deployment](c.reader, tableDeployments, byID, r.Project, t.Deployment) == nil {
			gone = append(gone, t.Deployment)
		}
	}
	c.want(len(gone) == 0, "route %q leads to deployments that are not there: %s", r.Name, strings.Join(gone, ", "))
}
