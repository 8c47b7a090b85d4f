package e2e

import (
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestSlowLoadIsShown deploys to an engine that takes some seconds over its weights:
// status says how far it is, how fast it goes and how long it will take, until it
// serves.
func TestSlowLoadIsShown(t *testing.T) {
	t.Setenv("NANOFLEET_TEST_LOAD_RATE", "250000")
	f := &fleet{t: t, data: t.TempDir(), program: faulty(t)}
	t.Cleanup(f.down)
	f.must("up", "--api", "127.0.0.1:0", "--detach")
	f.base, f.key = strings.TrimSpace(f.read("endpoint")), strings.TrimSpace(f.read("api-key"))
	if out := f.must("status"); !strings.Contains(out, "Nothing is deployed") || !strings.Contains(out, "nanofleet model add") {
		t.Errorf("with nothing deployed:\n%s", out)
	}
	watch := at(t, f, "status", "--watch", "--every", "200ms")
	watch.see("Nothing is deployed")
	f.must("model", "add", tiny.GGUF(), "--name", "tiny")
	f.must("deploy", "tiny")
	var seen []api.Instance
	f.until("the model is loaded", func() bool {
		st, err := f.client().Status(t.Context())
		if err != nil || len(st.Deployments) != 1 {
			t.Fatalf("%+v, %v", st, err)
		}
		for _, i := range st.Deployments[0].Instances {
			if i.Phase == "map" && i.Done > 0 && i.Done < i.Total {
				seen = append(seen, i)
			}
		}
		return st.Deployments[0].Ready == 1
	})
	checkProgress(t, seen)
	watch.see("map ")
	watch.see(" left")
	watch.see("\x1b[J")
	watch.see("ready")
	watch.press(ctrlC)
	if code := watch.left(); code != 0 {
		t.Errorf("a watch that is ended says %d", code)
	}
	if out := f.must("status"); !strings.Contains(out, "1/1") {
		t.Errorf("afterwards:\n%s", out)
	}
}

// checkProgress holds what was seen of a load of some 250,000 bytes a second to sense.
func checkProgress(t *testing.T, seen []api.Instance) {
	t.Helper()
	rated := 0
	for n, i := range seen {
		if n > 0 && i.Done < seen[n-1].Done {
			t.Errorf("progress falls from %d to %d", seen[n-1].Done, i.Done)
		}
		if share := float64(i.Done) / float64(i.Total); i.Progress != share || i.Since.IsZero() {
			t.Errorf("%d of %d is shown as %v, since %v", i.Done, i.Total, i.Progress, i.Since)
		}
		if i.Rate == 0 {
			continue
		}
		rated++
		// The engine sleeps for its rate and computes besides; it may be slower, not faster.
		if left := float64(i.Total-i.Done) / i.Rate; i.Left != left || i.Rate > 300_000 {
			t.Errorf("rate %v, %v s left of %d bytes", i.Rate, i.Left, i.Total-i.Done)
		}
	}
	if rated < 2 {
		t.Errorf("a rate was told %d times, of %d looks: %+v", rated, len(seen), seen)
	}
}
