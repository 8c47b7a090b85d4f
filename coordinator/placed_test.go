package coordinator

import (
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/placement"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// A deployment whose options changed is settled only once instances of the new ones
// serve, however early one looks.
func TestSettledMeansTheNewOptions(t *testing.T) {
	cfg := config(t)
	cfg.Fleet = freePort(t)
	r := start(t, cfg)
	r.join()
	r.deploy()
	ctx := bounded(t)
	spec := api.DeploymentSpec{Model: "tiny", Replicas: 1, Options: api.EngineOptions{Backend: "ref", Context: 512}}
	d, err := r.admin().Deploy(ctx, "chat", spec)
	if err != nil || d.Generation != 2 || d.Settled() {
		t.Fatalf("right after: %+v, %v; want generation 2, not settled", d, err)
	}
	was := d.Instances[0].ID
	for !d.Settled() {
		time.Sleep(time.Millisecond)
		if d, err = r.admin().Deployment(ctx, "chat"); err != nil {
			t.Fatal(err)
		}
	}
	if d.Placed != 2 || d.Ready != 1 || d.Instances[0].ID == was || d.Instances[0].Old {
		t.Errorf("settled as %+v; %s is of the options before", d, was)
	}
	if d, err = r.admin().Deploy(ctx, "chat", spec); err != nil || d.Generation != 2 || !d.Settled() {
		t.Errorf("the same once more: %+v, %v", d, err)
	}
}

// What state refused is not placed.
func TestRefusedIsNotPlaced(t *testing.T) {
	p := newPlaced([]state.Deployment{{Project: "default", Name: "a", Generation: 3}, {Project: "default", Name: "b", Generation: 4}})
	p.decided(placement.Decision{Project: "default", Deployment: "a", Problem: "no room", Old: []string{"i1"}})
	p.refused(placement.Decision{Project: "default", Deployment: "b"})
	l := &liveView{placed: p}
	if generation, problem := l.Placed("default", "a"); generation != 3 || problem != "no room" || !l.Old("i1") || l.Old("i2") {
		t.Errorf("a: generation %d, problem %q", generation, problem)
	}
	if generation, _ := l.Placed("default", "b"); generation != 0 {
		t.Errorf("b: generation %d is placed though its change was refused", generation)
	}
}
