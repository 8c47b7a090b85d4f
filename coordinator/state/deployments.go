package state

// PutDeployment creates a deployment or changes it. A new one gets a route of its
// name, unless there is one.
type PutDeployment struct {
	Deployment Deployment `json:"deployment"`
}

// RemoveDeployment removes a deployment, its instances, and the targets of routes that
// led to it; a route left without targets goes too.
type RemoveDeployment struct {
	Project string `json:"project"`
	Name    string `json:"name"`
}

// Kind of command.
func (*PutDeployment) Kind() Kind { return KindPutDeployment }

// Kind of command.
func (*RemoveDeployment) Kind() Kind { return KindRemoveDeployment }

const replicasMax = 10000

func (d *Deployment) check() error {
	if d.Replicas < 0 || d.Replicas > replicasMax {
		return invalid("deployment", d.Name, "replicas", "%d, want 0 to %d", d.Replicas, replicasMax)
	}
	return firstOf(
		checkName("deployment", "name", d.Name),
		d.Options.check("deployment", d.Name),
		checkTime("deployment", d.Name, "created_ms", d.CreatedMS),
		checkTime("deployment", d.Name, "updated_ms", d.UpdatedMS),
	)
}

// check refuses text that is too long; the engine refuses what it does not have.
func (o *EngineOptions) check(kind, name string) error {
	return firstOf(
		checkText(kind, name, "options.backend", o.Backend),
		checkText(kind, name, "options.isa", o.ISA),
		checkText(kind, name, "options.quant", o.Quant),
		checkText(kind, name, "options.kv_dtype", o.KVDType),
	)
}

func (c *PutDeployment) apply(tx *txn) error {
	d := c.Deployment
	d.Generation = 1
	if err := firstOf(d.check(), tx.inProject(d.Project), tx.ofModel(&d)); err != nil {
		return err
	}
	if old := one[Deployment](tx.reader, tableDeployments, byID, d.Project, d.Name); old != nil {
		d.CreatedMS, d.Generation = old.CreatedMS, old.Generation
		if !d.same(old) {
			d.Generation++
		}
	}
	tx.put(tableDeployments, &d)
	if one[Route](tx.reader, tableRoutes, byID, d.Project, d.Name) == nil {
		tx.put(tableRoutes, &Route{
			Name: d.Name, Project: d.Project, CreatedMS: d.UpdatedMS,
			Targets: []Target{{Deployment: d.Name, Weight: 1}},
		})
	}
	return nil
}

// same tells whether two deployments of one name ask for the same.
func (d *Deployment) same(old *Deployment) bool {
	return d.Model == old.Model && d.Version == old.Version && d.Replicas == old.Replicas && d.Options == old.Options
}

// ofModel refuses a deployment whose version is not one of its model.
func (tx *txn) ofModel(d *Deployment) error {
	if one[Model](tx.reader, tableModels, byID, d.Project, d.Model) == nil {
		return notFound("model", clip(d.Model))
	}
	v := one[Version](tx.reader, tableVersions, byID, d.Version)
	if v == nil || v.Project != d.Project || v.Model != d.Model {
		return &Error{Reason: ErrNotFound, Kind: "version", Name: clip(d.Version), Detail: "not of model " + clip(d.Model)}
	}
	return nil
}

func (c *RemoveDeployment) apply(tx *txn) error {
	d := one[Deployment](tx.reader, tableDeployments, byID, c.Project, c.Name)
	if d == nil {
		return notFound("deployment", clip(c.Name))
	}
	remove(tx, tableInstances, all[Instance](tx.reader, tableInstances, byDeployment, d.Project, d.Name)...)
	for _, r := range all[Route](tx.reader, tableRoutes, byProject, d.Project) {
		tx.dropTarget(r, d.Name)
	}
	remove(tx, tableDeployments, d)
	return nil
}

// dropTarget takes a deployment out of a route.
func (tx *txn) dropTarget(old *Route, deployment string) {
	r := *old
	r.Targets = nil
	for _, t := range old.Targets {
		if t.Deployment != deployment {
			r.Targets = append(r.Targets, t)
		}
	}
	switch len(r.Targets) {
	case len(old.Targets):
	case 0:
		remove(tx, tableRoutes, old)
	default:
		tx.put(tableRoutes, &r)
	}
}
