package state

// PutRoute creates a route or replaces its targets.
type PutRoute struct {
	Route Route `json:"route"`
}

// RemoveRoute takes a public model name away.
type RemoveRoute struct {
	Project string `json:"project"`
	Name    string `json:"name"`
}

// Kind of command.
func (*PutRoute) Kind() Kind { return KindPutRoute }

// Kind of command.
func (*RemoveRoute) Kind() Kind { return KindRemoveRoute }

const (
	targetsMax = 64
	weightMax  = 1000
)

func (r *Route) check() error {
	if n := len(r.Targets); n == 0 || n > targetsMax {
		return invalid("route", r.Name, "targets", "%d, want 1 to %d", n, targetsMax)
	}
	seen := map[string]bool{}
	for _, t := range r.Targets {
		if t.Weight < 1 || t.Weight > weightMax {
			return invalid("route", r.Name, "targets.weight", "%d of %q, want 1 to %d", t.Weight, clip(t.Deployment), weightMax)
		}
		if seen[t.Deployment] {
			return invalid("route", r.Name, "targets", "deployment %q is there twice", clip(t.Deployment))
		}
		seen[t.Deployment] = true
	}
	return firstOf(
		checkName("route", "name", r.Name),
		checkTime("route", r.Name, "created_ms", r.CreatedMS),
	)
}

func (c *PutRoute) apply(tx *txn) error {
	r := c.Route
	if err := firstOf(r.check(), tx.inProject(r.Project)); err != nil {
		return err
	}
	for _, t := range r.Targets {
		if one[Deployment](tx.reader, tableDeployments, byID, r.Project, t.Deployment) == nil {
			return notFound("deployment", clip(t.Deployment))
		}
	}
	if old := one[Route](tx.reader, tableRoutes, byID, r.Project, r.Name); old != nil {
		r.CreatedMS = old.CreatedMS
	}
	tx.put(tableRoutes, &r)
	return nil
}

func (c *RemoveRoute) apply(tx *txn) error {
	r := one[Route](tx.reader, tableRoutes, byID, c.Project, c.Name)
	if r == nil {
		return notFound("route", clip(c.Name))
	}
	remove(tx, tableRoutes, r)
	return nil
}
