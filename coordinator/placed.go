package coordinator

import (
	"github.com/nanofleet/nanofleet/coordinator/placement"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// placed is what placement last found, once what it decided is committed.
type placed struct {
	problems    map[[2]string]string // by project and deployment
	generations map[[2]string]uint64 // that instances were placed for
	old         map[string]bool      // instances that stay until they are replaced
}

func newPlaced(deployments []state.Deployment) *placed {
	p := &placed{map[[2]string]string{}, map[[2]string]uint64{}, map[string]bool{}}
	for _, d := range deployments {
		p.generations[[2]string{d.Project, d.Name}] = d.Generation
	}
	return p
}

func (p *placed) decided(d placement.Decision) {
	if d.Problem != "" {
		p.problems[[2]string{d.Project, d.Deployment}] = d.Problem
	}
	for _, id := range d.Old {
		p.old[id] = true
	}
}

// refused takes back that a deployment is placed: it is decided anew.
func (p *placed) refused(d placement.Decision) {
	delete(p.generations, [2]string{d.Project, d.Deployment})
}
