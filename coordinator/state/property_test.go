package state

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Small sets of names make commands meet each other.
var (
	someID      = rapid.SampledFrom([]string{"a", "a", "a", "a", "b", "b", "c", "", "../x"})
	someProject = rapid.SampledFrom([]string{DefaultProject, DefaultProject, DefaultProject, DefaultProject, "p", "none"})
	someTime    = rapid.SampledFrom([]int64{t0, t0 + 1, t0 + 3600_000, t0 + 2*tokenKeptMS, 0, -1})
)

func drawVersion(t *rapid.T) Version {
	v := sampleVersion("v-"+someID.Draw(t, "version"), someID.Draw(t, "model"))
	v.Project = someProject.Draw(t, "project")
	return v
}

func drawNode(t *rapid.T) Node {
	n := sampleNode(someID.Draw(t, "node"))
	n.Devices = n.Devices[:rapid.IntRange(0, 2).Draw(t, "devices")]
	n.Role = rapid.SampledFrom([]string{"agent", "agent", "coordinator", "?"}).Draw(t, "role")
	return n
}

func drawInstance(t *rapid.T, project, deployment string) Instance {
	i := sampleInstance("i-"+someID.Draw(t, "instance"), rapid.Uint64Range(0, 70).Draw(t, "bytes"))
	i.Project, i.Deployment, i.Model = project, deployment, someID.Draw(t, "model")
	i.Version, i.Node = "v-"+someID.Draw(t, "version"), someID.Draw(t, "node")
	i.Device = rapid.SampledFrom([]string{"cpu", "gpu0", "gpu9"}).Draw(t, "device")
	return i
}

func drawCommand(t *rapid.T) Command {
	project, id, now := someProject.Draw(t, "project"), someID.Draw(t, "id"), someTime.Draw(t, "now")
	digit := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "digit")
	switch rapid.SampledFrom(kinds()).Draw(t, "kind") {
	case KindAddModelVersion:
		return &AddModelVersion{drawVersion(t)}
	case KindRemoveVersion:
		return &RemoveVersion{project, "v-" + id}
	case KindRemoveModel:
		return &RemoveModel{project, id}
	case KindPutDeployment:
		d := Deployment{Name: id, Project: project, Model: someID.Draw(t, "model"), Version: "v-" + someID.Draw(t, "version"), UpdatedMS: now}
		return &PutDeployment{d}
	case KindRemoveDeployment:
		return &RemoveDeployment{project, id}
	case KindSetInstances:
		c := &SetInstances{Project: project, Deployment: id}
		for range rapid.IntRange(0, 3).Draw(t, "adds") {
			c.Add = append(c.Add, drawInstance(t, project, id))
		}
		for range rapid.IntRange(0, 2).Draw(t, "removes") {
			c.Remove = append(c.Remove, "i-"+someID.Draw(t, "gone"))
		}
		return c
	case KindCreateKey:
		k := sampleKey(id, digit)
		k.Project = project
		return &CreateKey{k}
	case KindRevokeKey:
		return &RevokeKey{project, id, now}
	case KindCreateJoinToken:
		j := sampleToken(id)
		j.CreatedMS, j.ExpiresMS = now, now+3600_000
		return &CreateJoinToken{j}
	case KindUseJoinToken:
		return &UseJoinToken{id, rapid.SampledFrom([]string{hexOf("e"), hexOf("f")}).Draw(t, "secret"), drawNode(t), now}
	case KindPutNode:
		return &PutNode{drawNode(t)}
	case KindRevokeNode:
		return &RevokeNode{id, now}
	case KindRemoveNode:
		return &RemoveNode{id}
	case KindPutProject:
		return &PutProject{Project{ID: rapid.SampledFrom([]string{"p", "p", id}).Draw(t, "new"), CreatedMS: now}}
	case KindRemoveProject:
		return &RemoveProject{project}
	case KindPutRoute:
		r := Route{Name: id, Project: project}
		for range rapid.IntRange(0, 2).Draw(t, "targets") {
			r.Targets = append(r.Targets, Target{someID.Draw(t, "target"), rapid.IntRange(0, 2).Draw(t, "weight")})
		}
		return &PutRoute{r}
	default:
		return &RemoveRoute{project, id}
	}
}

func kinds() (out []Kind) {
	for k := Kind(0); k <= KindRemoveRoute; k++ {
		if _, ok := blank[k]; ok {
			out = append(out, k)
		}
	}
	return out
}

// Whatever is asked: nothing panics, no invariant breaks, a refusal is typed and
// changes nothing, two stores fed the same have the same bytes, and what is persisted
// comes back.
func TestAnyCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := New(), New()
		var cmds []Command
		if rapid.Bool().Draw(t, "from the ground") {
			cmds = ground()
		}
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			cmds = append(cmds, drawCommand(t))
		}
		for n, cmd := range cmds {
			before := body(t, a)
			errA, errB := a.Apply(uint64(n), cmd), b.Apply(uint64(n), cmd)
			var typed *Error
			switch {
			case fmt.Sprint(errA) != fmt.Sprint(errB):
				t.Fatalf("%T: %v and %v", cmd, errA, errB)
			case errA == nil:
			case !errors.As(errA, &typed):
				t.Fatalf("%T: %v is not an *Error", cmd, errA)
			case !bytes.Equal(before, body(t, a)):
				t.Fatalf("%T: %v, and yet it changed the state", cmd, errA)
			}
			if broken := a.Check(); broken != nil {
				t.Fatalf("after %T %+v: %v", cmd, cmd, broken)
			}
			capacityHolds(t, a, cmd)
		}
		roundTrip(t, a, b)
	})
}

// ground is where half of the runs start, so that the later resources are met often.
func ground() []Command {
	i := sampleInstance("i-a", 60)
	i.Deployment, i.Model, i.Version, i.Node = "a", "a", "v-a", "a"
	d := sampleDeployment("a", "v-a")
	d.Model = "a"
	return []Command{
		&AddModelVersion{sampleVersion("v-a", "a")}, &PutNode{sampleNode("a")}, &PutDeployment{d},
		&SetInstances{Project: DefaultProject, Deployment: "a", Add: []Instance{i}},
		&CreateJoinToken{sampleToken("a")},
	}
}

func body(t *rapid.T, s *Store) []byte {
	var b bytes.Buffer
	if err := s.Persist(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[20 : b.Len()-32]
}

// capacityHolds: no SetInstances leaves a device it added to over its memory.
func capacityHolds(t *rapid.T, s *Store, cmd Command) {
	c, ok := cmd.(*SetInstances)
	if !ok {
		return
	}
	snap := s.Snapshot()
	for _, added := range c.Add {
		i, ok := snap.Instance(added.ID)
		if !ok || i.Footprint.Total() == 0 || i != added {
			continue
		}
		n, _ := snap.Node(i.Node)
		dev, _ := n.device(i.Device)
		var used uint64
		for _, other := range snap.InstancesOn(i.Node) {
			if other.Device == i.Device {
				used += other.Footprint.Total()
			}
		}
		if used > dev.MemoryBytes {
			t.Fatalf("device %s of node %s has %d bytes, its instances hold %d", i.Device, i.Node, dev.MemoryBytes, used)
		}
	}
}

func roundTrip(t *rapid.T, a, b *Store) {
	var bytesA, bytesB, back bytes.Buffer
	if err := errors.Join(a.Persist(&bytesA), b.Persist(&bytesB)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytesA.Bytes(), bytesB.Bytes()) {
		t.Fatal("the same commands gave different bytes")
	}
	c := New()
	if err := c.Restore(bytes.NewReader(bytesA.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := c.Persist(&back); err != nil || !bytes.Equal(back.Bytes(), bytesA.Bytes()) {
		t.Fatalf("restored bytes differ, %v", err)
	}
}
