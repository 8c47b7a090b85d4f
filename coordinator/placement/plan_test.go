package placement

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/coordinator/state"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output in testdata")

// TestScenarios runs testdata/*.txt: commands change a little fleet, `plan` prints
// the decisions and applies them.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScenario(t, file) })
	}
}

func runScenario(t *testing.T, file string) {
	f := newFleet()
	got, want := playFile(t, f, file)
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s:\n--- got\n%s\n--- want\n%s", file, got, want)
	}
}

// playFile runs the commands of file (lines before each "----") and returns the
// file as it should read, and as it reads.
func playFile(t *testing.T, f *fleet, file string) (got, want string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	skipping := false
	sc := bufio.NewScanner(strings.NewReader(string(b)))
	for sc.Scan() {
		line := sc.Text()
		switch {
		case line == "":
			skipping = false
			out.WriteString("\n")
		case skipping:
		case line == "----":
			skipping = true
			out.WriteString("----\n" + f.plan())
		default:
			out.WriteString(line + "\n")
			if !strings.HasPrefix(line, "#") {
				f.do(t, strings.Fields(line))
			}
		}
	}
	return out.String(), string(b)
}

// fleet is a tiny world to plan for: a replica takes as many bytes as its version's
// name says after "v1x".
type fleet struct {
	in   Input
	next int
}

func newFleet() *fleet {
	f := &fleet{}
	f.in.Ready = map[string]bool{}
	f.in.NewID = func() string { f.next++; return fmt.Sprintf("i%d", f.next) }
	f.in.Fit = func(d state.Deployment, dev state.Device) (state.EngineOptions, state.Footprint, error) {
		_, size, _ := strings.Cut(d.Version, "x")
		n, err := strconv.ParseUint(size, 10, 64)
		if err != nil {
			return state.EngineOptions{}, state.Footprint{}, errors.New("unknown architecture")
		}
		return d.Options, state.Footprint{Weights: n}, nil
	}
	return f
}

func (f *fleet) do(t *testing.T, args []string) {
	switch args[0] {
	case "node": // node ID kind:bytes...
		n := Node{ID: args[1], Usable: true}
		for i, a := range args[2:] {
			kind, size, _ := strings.Cut(a, ":")
			b, err := strconv.ParseUint(size, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			n.Devices = append(n.Devices, state.Device{ID: fmt.Sprintf("%s%d", kind, i), Kind: kind, MemoryBytes: b})
		}
		f.in.Nodes = append(f.in.Nodes, n)
	case "lose", "find":
		for i := range f.in.Nodes {
			if f.in.Nodes[i].ID == args[1] {
				f.in.Nodes[i].Usable = args[0] == "find"
			}
		}
	case "deploy": // deploy NAME VERSION REPLICAS [BACKEND]
		n, err := strconv.Atoi(args[3])
		if err != nil {
			t.Fatal(err)
		}
		f.undeploy(args[1])
		d := state.Deployment{Name: args[1], Project: "default", Version: args[2], Replicas: n}
		if len(args) > 4 {
			d.Options.Backend = args[4]
		}
		f.in.Deployments = append(f.in.Deployments, d)
	case "undeploy":
		f.undeploy(args[1])
	case "ready":
		for _, id := range args[1:] {
			f.in.Ready[id] = true
		}
	default:
		t.Fatalf("unknown command %q", args)
	}
}

func (f *fleet) undeploy(name string) {
	for i, d := range f.in.Deployments {
		if d.Name == name {
			f.in.Deployments = append(f.in.Deployments[:i:i], f.in.Deployments[i+1:]...)
			return
		}
	}
}

// plan decides, applies and prints.
func (f *fleet) plan() string {
	var out strings.Builder
	for _, dec := range Plan(f.in) {
		for _, id := range dec.Remove {
			fmt.Fprintf(&out, "%s: remove %s\n", dec.Deployment, id)
		}
		for _, i := range dec.Add {
			fmt.Fprintf(&out, "%s: add %s %s on %s/%s\n", dec.Deployment, i.ID, i.Version, i.Node, i.Device)
		}
		if dec.Problem != "" {
			fmt.Fprintf(&out, "%s: problem: %s\n", dec.Deployment, dec.Problem)
		}
		f.apply(dec)
	}
	if out.Len() == 0 {
		return "nothing to do\n"
	}
	return out.String()
}

func (f *fleet) apply(dec Decision) {
	gone := map[string]bool{}
	for _, id := range dec.Remove {
		gone[id] = true
	}
	var kept []state.Instance
	for _, i := range f.in.Instances {
		if !gone[i.ID] {
			kept = append(kept, i)
		}
	}
	f.in.Instances = append(kept, dec.Add...)
}

// TestPlanProperties drives random fleets: no device is ever promised more than it
// has, a settled plan is stable, and a replica is missing only with a reason.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFleet()
		for i := range rapid.IntRange(0, 4).Draw(rt, "nodes") {
			f.do(t, []string{"node", fmt.Sprintf("n%d", i), fmt.Sprintf("cpu:%d", rapid.IntRange(0, 40).Draw(rt, "bytes"))})
		}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name")
			f.do(t, []string{"deploy", name, fmt.Sprintf("v1x%d", rapid.IntRange(1, 20).Draw(rt, "size")),
				strconv.Itoa(rapid.IntRange(0, 4).Draw(rt, "replicas"))})
			if len(f.in.Nodes) > 0 {
				f.do(t, []string{rapid.SampledFrom([]string{"lose", "find"}).Draw(rt, "fate"), rapid.SampledFrom(f.in.Nodes).Draw(rt, "node").ID})
			}
			settle(rt, f)
		}
	})
}

func settle(rt *rapid.T, f *fleet) {
	for round := 0; ; round++ {
		decs := Plan(f.in)
		changed := false
		for _, d := range decs {
			changed = changed || d.Changed()
			f.apply(d)
		}
		for _, i := range f.in.Instances {
			f.in.Ready[i.ID] = true
		}
		checkCapacity(rt, f)
		if !changed {
			checkReplicas(rt, f, decs)
			return
		}
		if round > 50 {
			rt.Fatalf("no rest after %d rounds: %+v", round, decs)
		}
	}
}

func checkCapacity(rt *rapid.T, f *fleet) {
	for _, n := range f.in.Nodes {
		for _, dev := range n.Devices {
			var used uint64
			for _, i := range f.in.Instances {
				if i.Node == n.ID && i.Device == dev.ID {
					used += i.Footprint.Total()
				}
			}
			if used > dev.MemoryBytes {
				rt.Fatalf("device %s/%s: %d bytes promised of %d", n.ID, dev.ID, used, dev.MemoryBytes)
			}
		}
	}
}

func checkReplicas(rt *rapid.T, f *fleet, decs []Decision) {
	problem := map[string]bool{}
	for _, d := range decs {
		problem[d.Deployment] = d.Problem != ""
		if len(d.Old) > 0 && d.Problem == "" {
			rt.Fatalf("deployment %s: %q are old, and nothing says why they stay", d.Deployment, d.Old)
		}
	}
	for _, d := range f.in.Deployments {
		have := 0
		for _, i := range f.in.Instances {
			if i.Deployment == d.Name && i.Version == d.Version {
				have++
			}
		}
		if have > d.Replicas || (have < d.Replicas && !problem[d.Name]) {
			rt.Fatalf("deployment %s: %d of %d replicas, problem reported: %v", d.Name, have, d.Replicas, problem[d.Name])
		}
	}
}

// TestOldIsToldApart: while replicas are replaced one by one, for there is no room beside
// them, there may be as many as wanted and all of them ready; those of before are named.
func TestOldIsToldApart(t *testing.T) {
	f := newFleet()
	f.do(t, []string{"node", "a", "cpu:20"})
	f.do(t, []string{"deploy", "chat", "v1x10", "2"})
	f.plan()
	f.in.Ready = map[string]bool{"i1": true, "i2": true}
	f.in.Deployments[0].Options.Context = 512
	// One is given up, then there is room for another, and the other one waits for it.
	for round, have := range []string{"i2", "i2 i3", "i2 i3"} {
		for _, dec := range Plan(f.in) {
			if f.apply(dec); strings.Join(dec.Old, " ") != "i2" || dec.Problem != "" {
				t.Errorf("round %d: %+v, want i2 to be old", round, dec)
			}
		}
		if got := ids(f.in.Instances); got != have {
			t.Errorf("round %d: %s are there, want %s", round, got, have)
		}
	}
	settleRounds(f)
	for _, d := range Plan(f.in) {
		t.Errorf("at rest: %+v", d)
	}
	for _, i := range f.in.Instances {
		if i.Options.Context != 512 {
			t.Errorf("%+v runs with options of before", i)
		}
	}
}

func ids(list []state.Instance) string {
	var out []string
	for _, i := range list {
		out = append(out, i.ID)
	}
	return strings.Join(out, " ")
}

// settleRounds plans until all is ready and old ones are gone.
func settleRounds(f *fleet) {
	for range 5 {
		for _, d := range Plan(f.in) {
			f.apply(d)
		}
		for _, i := range f.in.Instances {
			f.in.Ready[i.ID] = true
		}
	}
}

// TestImpossibleOptionsAreAProblem: options that came to be impossible leave what runs
// running, and say so.
func TestImpossibleOptionsAreAProblem(t *testing.T) {
	f := newFleet()
	f.do(t, []string{"node", "a", "cpu:20"})
	f.do(t, []string{"deploy", "chat", "v1x10", "1"})
	f.plan()
	f.in.Fit = func(state.Deployment, state.Device) (state.EngineOptions, state.Footprint, error) {
		return state.EngineOptions{}, state.Footprint{}, errors.New("context: 99999, must be at most 1024")
	}
	want := "i1 runs on as it was: context: 99999, must be at most 1024"
	if decs := Plan(f.in); len(decs) != 1 || decs[0].Changed() || decs[0].Problem != want {
		t.Errorf("%+v, want the problem %q and no change", decs, want)
	}
}

// TestOtherBytesAreAnotherInstance upgrades the coordinator to a build that computes
// other bytes for the same options: engines would refuse the old figure, so the
// instance is replaced.
func TestOtherBytesAreAnotherInstance(t *testing.T) {
	node := Node{ID: "a", Usable: true, Devices: []state.Device{{ID: "cpu0", Kind: "cpu", MemoryBytes: 100}}}
	was := state.Instance{ID: "i1", Project: "default", Deployment: "chat", Version: "v1", Node: "a", Device: "cpu0", Footprint: state.Footprint{Weights: 10}}
	for bytes, want := range map[uint64]int{10: 0, 11: 1} {
		plan := Plan(Input{
			Deployments: []state.Deployment{{Project: "default", Name: "chat", Version: "v1", Replicas: 1}},
			Instances:   []state.Instance{was}, Nodes: []Node{node}, Ready: map[string]bool{},
			NewID: func() string { return "i2" },
			Fit: func(state.Deployment, state.Device) (state.EngineOptions, state.Footprint, error) {
				return state.EngineOptions{}, state.Footprint{Weights: bytes}, nil
			},
		})
		added := 0
		for _, d := range plan {
			added += len(d.Add)
		}
		if added != want {
			t.Errorf("%d bytes where 10 were reserved: %d instances added, want %d", bytes, added, want)
		}
	}
}
