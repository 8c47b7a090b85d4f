package state

// PutProject creates a project or renames it.
type PutProject struct {
	Project Project `json:"project"`
}

// RemoveProject removes a project that holds nothing but revoked keys.
type RemoveProject struct {
	ID string `json:"id"`
}

// Kind of command.
func (*PutProject) Kind() Kind { return KindPutProject }

// Kind of command.
func (*RemoveProject) Kind() Kind { return KindRemoveProject }

func (p *Project) check() error {
	return firstOf(
		checkName("project", "id", p.ID),
		checkText("project", p.ID, "name", p.Name),
		checkTime("project", p.ID, "created_ms", p.CreatedMS),
	)
}

func (c *PutProject) apply(tx *txn) error {
	p := c.Project
	if err := p.check(); err != nil {
		return err
	}
	if old := one[Project](tx.reader, tableProjects, byID, p.ID); old != nil {
		p.CreatedMS = old.CreatedMS
	}
	tx.put(tableProjects, &p)
	return nil
}

func (c *RemoveProject) apply(tx *txn) error {
	p := one[Project](tx.reader, tableProjects, byID, c.ID)
	if p == nil {
		return notFound("project", c.ID)
	}
	if p.ID == DefaultProject {
		return conflict("project", p.ID, "it always exists")
	}
	keys := all[Key](tx.reader, tableKeys, byProject, p.ID)
	if n := live(keys); n > 0 {
		return conflict("project", p.ID, "%d keys are not revoked", n)
	}
	// Without models there are no deployments, and without those no routes.
	if n := len(all[Model](tx.reader, tableModels, byProject, p.ID)); n > 0 {
		return conflict("project", p.ID, "it has %d models", n)
	}
	remove(tx, tableKeys, keys...)
	remove(tx, tableProjects, p)
	return nil
}

func live(keys []*Key) (n int) {
	for _, k := range keys {
		if k.RevokedMS == 0 {
			n++
		}
	}
	return n
}

// inProject refuses what would belong to a project that is not there.
func (tx *txn) inProject(project string) error {
	if one[Project](tx.reader, tableProjects, byID, project) == nil {
		return notFound("project", clip(project))
	}
	return nil
}
