package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/testing/built"
)

// faulty is a build whose engines break over certain prompts (cmd/nanofleet's
// outfit_faulty.go).
func faulty(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nanofleet-faulty")
	if err := built.Build(path, "-tags", "faulty"); err != nil {
		t.Fatal(err)
	}
	return path
}

// Prompts as token ids: their engine dies over the first, and gets no number out of
// the second.
const (
	deadly = `[5,17,17,17,17,6]`
	naught = `[5,18,18,18,18,6]`
)

func completion(prompt string, tokens int) []byte {
	return fmt.Appendf(nil, `{"model":"tiny","prompt":%s,"max_tokens":%d,"temperature":0,"ignore_eos":true}`, prompt, tokens)
}

// told is how an answer ended: its text, or its error.
type told struct {
	status     int
	text, code string
	message    string
}

func (f *fleet) complete(prompt string, tokens int) told {
	status, out := f.post(completionPath, f.key, completion(prompt, tokens))
	object, _ := out["error"].(map[string]any)
	code, _ := object["code"].(string)
	message, _ := object["message"].(string)
	return told{status, text(out), code, message}
}

// TestPoisonFailsAlone sends a prompt that kills its engine beside eight others: they
// come to the same end as without it, it fails after two engines, and sent again it is
// refused before it reaches one.
func TestPoisonFailsAlone(t *testing.T) {
	t.Setenv("NANOFLEET_TEST_STEP_MS", "4")
	f := &fleet{t: t, data: t.TempDir(), program: faulty(t)}
	t.Cleanup(f.down)
	f.start()
	const tokens = 800 // in three seconds and more: figures come once a second
	prompts := make([]string, 8)
	want := make([]told, len(prompts))
	var wg sync.WaitGroup
	for i := range prompts {
		prompts[i] = fmt.Sprintf(`[%d,40,41]`, 30+i)
		wg.Go(func() {
			if want[i] = f.complete(prompts[i], tokens); want[i].status != http.StatusOK {
				t.Errorf("%+v", want[i])
			}
		})
	}
	wg.Wait()
	for _, young := range []bool{false, true} {
		restarts := f.restarts()
		got := make(chan error)
		for i := range prompts {
			go func() {
				if g := f.complete(prompts[i], tokens); g != want[i] {
					got <- fmt.Errorf("prompt %d beside poison: %+v\nwant %+v", i, g, want[i])
					return
				}
				got <- nil
			}()
		}
		if !young {
			f.until("eight sequences are old", func() bool { return f.metric("nanofleet_instance_requests_running") == 8 })
			time.Sleep(100 * time.Millisecond)
		}
		poison := strings.Replace(deadly, "5", fmt.Sprint(5+oneIf(young)), 1)
		if g := f.complete(poison, 20); g.status != http.StatusUnprocessableEntity || g.code != "request_ended_engines" {
			t.Errorf("poison: %+v", g)
		}
		for range prompts {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		f.until("the second engine is replaced", func() bool { return f.restarts() >= restarts+2 && f.metric("nanofleet_instance_ready") == 1 })
		if n := f.restarts() - restarts; n != 2 {
			t.Errorf("poison cost %d engines, want 2", n)
		}
		before := f.engine()
		if g := f.complete(poison, 20); g.status != http.StatusUnprocessableEntity || !strings.Contains(g.message, "before") {
			t.Errorf("poison once more: %+v", g)
		}
		if after := f.engine(); after != before {
			t.Errorf("it reached the engine: pid %d became %d", before.PID, after.PID)
		}
	}
	if g := f.complete(naught, 20); g.status != http.StatusInternalServerError || g.code != "numeric_error" {
		t.Errorf("no number: %+v", g)
	}
	if g := f.complete(prompts[0], tokens); g != want[0] {
		t.Errorf("afterwards: %+v", g)
	}
}

// TestHungEngineIsReplaced sends a prompt over which a step never ends: the engine is
// replaced and says why, twice, and then serves others.
func TestHungEngineIsReplaced(t *testing.T) {
	f := &fleet{t: t, data: t.TempDir(), program: faulty(t)}
	t.Cleanup(f.down)
	f.start()
	old := f.engine()
	f.must("undeploy", "tiny")
	f.until("the engine without the limit is gone", func() bool { return !old.Running() })
	f.must("deploy", "tiny", "--step-limit", "1s", "--wait", "1m")
	before := f.restarts()
	if g := f.complete(`[5,19,19,19,19,6]`, 20); g.status != http.StatusUnprocessableEntity || g.code != "request_ended_engines" {
		t.Errorf("a prompt that hangs engines: %+v", g)
	}
	f.until("the second engine is replaced", func() bool { return f.restarts() >= before+2 && f.metric("nanofleet_instance_ready") == 1 })
	if g := f.complete(`[30,40,41]`, 20); g.status != http.StatusOK {
		t.Errorf("afterwards: %+v", g)
	}
	if !f.logged("agent/log/*.log", "limit of 1s") {
		t.Error("no log says that the engine hung")
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// restarts of the fleet's one engine.
func (f *fleet) restarts() int {
	st, err := f.client().Status(f.t.Context())
	if err != nil || len(st.Deployments) != 1 || len(st.Deployments[0].Instances) != 1 {
		f.t.Fatalf("%+v, %v", st, err)
	}
	return int(st.Deployments[0].Instances[0].Restarts)
}
