package state

import (
	"math"
	"strings"
	"testing"
)

func TestProjects(t *testing.T) {
	w := newWorld(t)
	w.must(&PutProject{Project{ID: "p", Name: "P", CreatedMS: t0}}, &PutProject{Project{ID: "p", Name: "New name", CreatedMS: t0 + 9}})
	if p, _ := w.store.Snapshot().Project("p"); p.Name != "New name" || p.CreatedMS != t0 {
		t.Errorf("renamed project is %+v", p)
	}
	w.refused(&PutProject{Project{ID: "a/b"}}, ErrInvalid, "id")
	w.refused(&PutProject{Project{ID: "p", Name: strings.Repeat("n", 257)}}, ErrInvalid, "name", "256")
	w.refused(&PutProject{Project{ID: "p", CreatedMS: -1}}, ErrInvalid, "created_ms")
	w.refused(&RemoveProject{DefaultProject}, ErrConflict)
	w.refused(&RemoveProject{"q"}, ErrNotFound)

	k := sampleKey("pk", "2")
	k.Project = "p"
	v := sampleVersion("pv", "pm")
	v.Project = "p"
	w.must(&CreateKey{k}, &AddModelVersion{v})
	w.refused(&RemoveProject{"p"}, ErrConflict, "1 keys")
	w.must(&RevokeKey{"p", "pk", t0})
	w.refused(&RemoveProject{"p"}, ErrConflict, "1 models")
	w.must(&RemoveModel{"p", "pm"}, &RemoveProject{"p"})
	if _, ok := w.store.Snapshot().Key("pk"); ok {
		t.Error("a removed project left its revoked key")
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.refused(&CreateKey{sampleKey("k1", "2")}, ErrExists, "k1")
	w.refused(&CreateKey{sampleKey("k2", "1")}, ErrConflict)
	for field, change := range map[string]func(*Key){
		"id": func(k *Key) { k.ID = "../k" }, "role": func(k *Key) { k.Role = "root" }, "hash": func(k *Key) { k.Hash = hexOf("G") },
		"name": func(k *Key) { k.Name = strings.Repeat("x", 300) }, "hint": func(k *Key) { k.Hint = strings.Repeat("x", 300) },
		"created_ms": func(k *Key) { k.CreatedMS = math.MaxInt64 }, "revoked_ms": func(k *Key) { k.RevokedMS = t0 },
	} {
		k := sampleKey("k2", "2")
		change(&k)
		w.refused(&CreateKey{k}, ErrInvalid, field)
	}
	k := sampleKey("k2", "2")
	k.Project = "none"
	w.refused(&CreateKey{k}, ErrNotFound, "project")

	w.refused(&RevokeKey{DefaultProject, "k2", t0}, ErrNotFound)
	w.refused(&RevokeKey{"other", "k1", t0}, ErrNotFound)
	w.refused(&RevokeKey{DefaultProject, "k1", 0}, ErrInvalid, "now_ms")
	w.refused(&RevokeKey{DefaultProject, "k1", math.MaxInt64}, ErrInvalid, "revoked_ms")
	w.must(&RevokeKey{DefaultProject, "k1", t0 + 5}, &RevokeKey{DefaultProject, "k1", t0 + 9})
	if k, ok := w.store.Snapshot().KeyByHash(hexOf("1")); !ok || k.RevokedMS != t0+5 {
		t.Errorf("revoked key is %+v", k)
	}
}

func TestJoinTokens(t *testing.T) {
	w := newWorld(t)
	w.refused(&CreateJoinToken{sampleToken("t1")}, ErrExists)
	for field, change := range map[string]func(*JoinToken){
		"id": func(j *JoinToken) { j.ID = "" }, "role": func(j *JoinToken) { j.Role = "admin" }, "hash": func(j *JoinToken) { j.Hash = "" },
		"expires_ms": func(j *JoinToken) { j.ExpiresMS = j.CreatedMS }, "used_by": func(j *JoinToken) { j.UsedBy = "n" },
		"used_ms":    func(j *JoinToken) { j.UsedBy, j.UsedMS = "n", t0 },
		"created_ms": func(j *JoinToken) { j.CreatedMS = -1 },
	} {
		j := sampleToken("t2")
		change(&j)
		w.refused(&CreateJoinToken{j}, ErrInvalid, field)
	}

	use := func(change func(*UseJoinToken)) *UseJoinToken {
		c := &UseJoinToken{ID: "t1", SecretHash: hexOf("e"), Node: sampleNode("n2"), NowMS: t0 + 1000}
		change(c)
		return c
	}
	w.refused(use(func(c *UseJoinToken) { c.ID = "t9" }), ErrDenied)
	w.refused(use(func(c *UseJoinToken) { c.SecretHash = hexOf("f") }), ErrDenied)
	w.refused(use(func(c *UseJoinToken) { c.NowMS = 0 }), ErrInvalid, "now_ms")
	w.refused(use(func(c *UseJoinToken) { c.NowMS = t0 + 3600_000 }), ErrDenied, "expired at 2026-11-2")
	w.refused(use(func(c *UseJoinToken) { c.Node.Role = "coordinator" }), ErrDenied, "as agent, not as coordinator")
	w.refused(use(func(c *UseJoinToken) { c.Node.KeyHash = "?" }), ErrInvalid, "key_hash")
	w.refused(use(func(c *UseJoinToken) { c.Node.ID = "n1" }), ErrExists, "n1")
	w.must(use(func(c *UseJoinToken) { c.Node.JoinedMS, c.Node.RevokedMS = 7, 7 }))
	snap := w.store.Snapshot()
	if n, ok := snap.Node("n2"); !ok || n.JoinedMS != t0+1000 || n.RevokedMS != 0 {
		t.Errorf("joined node is %+v", n)
	}
	if j, _ := snap.JoinToken("t1"); j.UsedBy != "n2" || j.UsedMS != t0+1000 {
		t.Errorf("used token is %+v", j)
	}
	w.refused(use(func(c *UseJoinToken) { c.Node.ID = "n3" }), ErrDenied, "used before")

	late := sampleToken("t3")
	late.CreatedMS += tokenKeptMS + 3600_001
	late.ExpiresMS = late.CreatedMS + 1
	w.must(&CreateJoinToken{late})
	if left := w.store.Snapshot().JoinTokens(); len(left) != 1 || left[0].ID != "t3" {
		t.Errorf("tokens a week after the first expired: %+v", left)
	}
}

func TestNodes(t *testing.T) {
	w := newWorld(t)
	for field, change := range map[string]func(*Node){
		"id": func(n *Node) { n.ID = "n 2" }, "role": func(n *Node) { n.Role = "" }, "key_hash": func(n *Node) { n.KeyHash = "ab" },
		"hostname": func(n *Node) { n.Hostname = strings.Repeat("h", 257) }, "version": func(n *Node) { n.Version = strings.Repeat("1", 999) },
		"revoked_ms": func(n *Node) { n.RevokedMS = t0 }, "joined_ms": func(n *Node) { n.JoinedMS = -5 },
		"64":     func(n *Node) { n.Devices = make([]Device, 65) },
		"twice":  func(n *Node) { n.Devices = append(n.Devices, n.Devices[0]) },
		"device": func(n *Node) { n.Devices[0].ID = "" },
		"kind":   func(n *Node) { n.Devices[0].Kind = "?" },
	} {
		n := sampleNode("n2")
		change(&n)
		w.refused(&PutNode{n}, ErrInvalid, field)
	}
	n := sampleNode("n1")
	n.Version, n.JoinedMS, n.Devices = "1.2.3", 5, n.Devices[:1]
	w.must(&PutNode{n})
	if got, _ := w.store.Snapshot().Node("n1"); got.Version != "1.2.3" || got.JoinedMS != t0 || len(got.Devices) != 1 {
		t.Errorf("updated node is %+v", got)
	}
	n.KeyHash = hexOf("0")
	w.refused(&PutNode{n}, ErrConflict, "key or role")

	w.refused(&RevokeNode{"n2", t0}, ErrNotFound)
	w.refused(&RevokeNode{"n1", -1}, ErrInvalid, "now_ms")
	w.refused(&RevokeNode{"n1", math.MaxInt64}, ErrInvalid, "revoked_ms")
	w.must(&RevokeNode{"n1", t0 + 1}, &RevokeNode{"n1", t0 + 2}, &PutNode{sampleNode("n1")})
	snap := w.store.Snapshot()
	if got, _ := snap.Node("n1"); got.RevokedMS != t0+1 || len(snap.Instances()) != 0 {
		t.Errorf("revoked node is %+v with instances %v", got, snap.Instances())
	}
	w.refused(setInstances([]Instance{sampleInstance("i2", 1)}), ErrConflict, "node")
	w.must(&RemoveNode{"n1"})
	w.refused(&RemoveNode{"n1"}, ErrNotFound)

	w = newWorld(t)
	w.must(&RemoveNode{"n1"})
	if left := w.store.Snapshot().Instances(); left != nil {
		t.Errorf("a removed node left instances %v", left)
	}
}

func TestModels(t *testing.T) {
	w := newWorld(t)
	w.refused(&AddModelVersion{sampleVersion("v1", "smol")}, ErrExists)
	for field, change := range map[string]func(*Version){
		"id": func(v *Version) { v.ID = "" }, "model": func(v *Version) { v.Model = "a b" }, "files": func(v *Version) { v.Files = nil },
		"files.path":            func(v *Version) { v.Files[0].Path = "../etc/passwd" },
		"files.digest":          func(v *Version) { v.Files[0].Digest = "md5:" + hexOf("a") },
		"not a sha256":          func(v *Version) { v.Files[0].Digest = "sha256:../x" },
		"files.chunk_size":      func(v *Version) { v.Files[0].ChunkSize = 0 },
		"files.chunks":          func(v *Version) { v.Files[0].Size = math.MaxUint64 },
		"files.chunks of model": func(v *Version) { v.Files[0].Chunks[1] = "zz" },
		"twice":                 func(v *Version) { v.Files = append(v.Files, v.Files[0]) },
		"info.format":           func(v *Version) { v.Info.Format = strings.Repeat("f", 300) },
		"created_ms":            func(v *Version) { v.CreatedMS = -1 },
	} {
		v := sampleVersion("v3", "smol")
		change(&v)
		w.refused(&AddModelVersion{v}, ErrInvalid, field)
	}
	v := sampleVersion("v3", "smol")
	v.Project = "none"
	w.refused(&AddModelVersion{v}, ErrNotFound, "project")

	w.refused(&RemoveVersion{DefaultProject, "v9"}, ErrNotFound)
	w.refused(&RemoveVersion{"other", "v2"}, ErrNotFound)
	w.refused(&RemoveVersion{DefaultProject, "v1"}, ErrConflict, `deployment "chat"`)
	w.refused(&RemoveModel{DefaultProject, "smol"}, ErrConflict, `deployment "chat"`)
	w.refused(&RemoveModel{DefaultProject, "none"}, ErrNotFound)
	w.must(&PutDeployment{sampleDeployment("chat", "v2")})
	w.refused(&RemoveVersion{DefaultProject, "v1"}, ErrConflict, "instance i1")
	w.must(setInstances(nil, "i1"), &RemoveVersion{DefaultProject, "v1"}, &RemoveDeployment{DefaultProject, "chat"},
		&RemoveVersion{DefaultProject, "v2"})
	if left := w.store.Snapshot().Models(""); left != nil {
		t.Errorf("the last version left %v", left)
	}
}

func TestCleanPath(t *testing.T) {
	for p, want := range map[string]bool{
		"model.gguf": true, "a/b/c.json": true, "..x": true, "a..b": true, ".hidden": true,
		"": false, ".": false, "..": false, "../x": false, "/x": false, "a/../b": false, "a//b": false, "a/": false,
		"./a": false, `a\b`: false, "a\x00b": false, "\xff": false, strings.Repeat("x", 513): false,
	} {
		if got := cleanPath(p); got != want {
			t.Errorf("cleanPath(%q) = %v", p, got)
		}
	}
}

func TestDeployments(t *testing.T) {
	w := newWorld(t)
	for field, change := range map[string]func(*Deployment){
		"name": func(d *Deployment) { d.Name = "" }, "replicas": func(d *Deployment) { d.Replicas = -1 },
		"options.backend": func(d *Deployment) { d.Options.Backend = strings.Repeat("b", 300) },
		"options.isa":     func(d *Deployment) { d.Options.ISA = "\xff" + strings.Repeat("b", 300) },
		"created_ms":      func(d *Deployment) { d.CreatedMS = -1 }, "updated_ms": func(d *Deployment) { d.UpdatedMS = -1 },
	} {
		d := sampleDeployment("new", "v1")
		change(&d)
		w.refused(&PutDeployment{d}, ErrInvalid, field)
	}
	for kind, change := range map[string]func(*Deployment){
		"project": func(d *Deployment) { d.Project = "none" }, "model": func(d *Deployment) { d.Model = "none" },
		"version": func(d *Deployment) { d.Version = "v9" },
	} {
		d := sampleDeployment("new", "v1")
		change(&d)
		w.refused(&PutDeployment{d}, ErrNotFound, kind)
	}
	d := sampleDeployment("chat", "v2")
	d.CreatedMS, d.UpdatedMS, d.Replicas = t0+5, t0+5, 3
	w.must(&PutDeployment{d})
	if got, _ := w.store.Snapshot().Deployment(DefaultProject, "chat"); got.CreatedMS != t0 || got.UpdatedMS != t0+5 || got.Replicas != 3 {
		t.Errorf("changed deployment is %+v", got)
	}
	generation := func() uint64 { d, _ := w.store.Snapshot().Deployment(DefaultProject, "chat"); return d.Generation }
	if got := generation(); got != 2 {
		t.Errorf("changed once, it is of generation %d, want 2", got)
	}
	d.UpdatedMS, d.Generation = t0+6, 100
	w.must(&PutDeployment{d})
	if got := generation(); got != 2 {
		t.Errorf("asked for the same again, it is of generation %d, want 2", got)
	}
	d.Options.Context = 256
	w.must(&PutDeployment{d})
	if got := generation(); got != 3 {
		t.Errorf("with other options it is of generation %d, want 3", got)
	}
	if r, _ := w.store.Snapshot().Route(DefaultProject, "chat"); r.CreatedMS != t0 || r.Targets[0] != (Target{"chat", 1}) {
		t.Errorf("its route is %+v", r)
	}
	w.refused(&RemoveDeployment{DefaultProject, "none"}, ErrNotFound)
}

func TestRoutesFollowDeployments(t *testing.T) {
	w := newWorld(t)
	w.must(
		&PutDeployment{sampleDeployment("other", "v2")}, &RemoveRoute{DefaultProject, "other"},
		&PutRoute{Route{Name: "both", Project: DefaultProject, CreatedMS: t0, Targets: []Target{{"chat", 90}, {"other", 10}}}},
		&RemoveDeployment{DefaultProject, "chat"},
	)
	snap := w.store.Snapshot()
	if r, _ := snap.Route(DefaultProject, "both"); len(r.Targets) != 1 || r.Targets[0].Deployment != "other" {
		t.Errorf("route with a removed target is %+v", r)
	}
	if _, ok := snap.Route(DefaultProject, "chat"); ok || snap.Instances() != nil {
		t.Errorf("a removed deployment left a route or instances %v", snap.Instances())
	}
	w.must(&RemoveDeployment{DefaultProject, "other"})
	if left := w.store.Snapshot().Routes(""); left != nil {
		t.Errorf("routes without targets: %v", left)
	}
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	route := func(targets ...Target) *PutRoute {
		return &PutRoute{Route{Name: "r", Project: DefaultProject, CreatedMS: t0, Targets: targets}}
	}
	w.refused(route(), ErrInvalid, "targets")
	w.refused(route(make([]Target, 65)...), ErrInvalid, "targets", "64")
	w.refused(route(Target{"chat", 0}), ErrInvalid, "weight")
	w.refused(route(Target{"chat", 1001}), ErrInvalid, "weight", "1000")
	w.refused(route(Target{"chat", 1}, Target{"chat", 1}), ErrInvalid, "twice")
	w.refused(route(Target{"none", 1}), ErrNotFound, "none")
	bad := route(Target{"chat", 1})
	bad.Route.Name = ".."
	w.refused(bad, ErrInvalid, "name")
	bad = route(Target{"chat", 1})
	bad.Route.Project = "none"
	w.refused(bad, ErrNotFound, "project")
	again := route(Target{"chat", 2})
	again.Route.CreatedMS = t0 + 1
	w.must(route(Target{"chat", 1}), again)
	if r, _ := w.store.Snapshot().Route(DefaultProject, "r"); r.CreatedMS != t0 || r.Targets[0].Weight != 2 {
		t.Errorf("changed route is %+v", r)
	}
	w.must(&RemoveRoute{DefaultProject, "r"})
	w.refused(&RemoveRoute{DefaultProject, "r"}, ErrNotFound)
}

// Device cpu of n1 has 100 bytes, of which i1 holds 60.
func TestSetInstancesTakesWhatFits(t *testing.T) {
	w := newWorld(t)
	w.refused(setInstances([]Instance{sampleInstance("i2", 41)}), ErrConflict, "40 free")
	gpu := sampleInstance("i4", 50)
	gpu.Device = "gpu0"
	w.must(setInstances([]Instance{sampleInstance("i2", 40), sampleInstance("i3", 1), gpu}))
	if got := ids(w.store); got != "i1 i2 i4" {
		t.Errorf("instances %s, want i1 i2 i4 (i3 does not fit)", got)
	}
	w.must(setInstances([]Instance{sampleInstance("i5", 60)}, "i1", "gone"))
	if got := ids(w.store); got != "i2 i4 i5" {
		t.Errorf("instances %s, want i2 i4 i5: removed bytes are free at once", got)
	}
	w.must(setInstances(nil, "gone")) // what is gone is no fault
}

func ids(s *Store) string {
	var out []string
	for _, i := range s.Snapshot().Instances() {
		out = append(out, i.ID)
	}
	return strings.Join(out, " ")
}

func TestSetInstancesRefusesTheImpossible(t *testing.T) {
	w := newWorld(t)
	for word, change := range map[string]func(*Instance){
		"id": func(i *Instance) { i.ID = "" }, "exists": func(i *Instance) { i.ID = "i1" }, "node": func(i *Instance) { i.Node = "n9" },
		"device": func(i *Instance) { i.Device = "gpu9" }, "version": func(i *Instance) { i.Version = "v9" },
		"of model":   func(i *Instance) { i.Model = "none" },
		"deployment": func(i *Instance) { i.Deployment = "other" },
		"footprint":  func(i *Instance) { i.Footprint = Footprint{Weights: math.MaxUint64, KV: 2} },
		"created_ms": func(i *Instance) { i.CreatedMS = -1 },
	} {
		i := sampleInstance("i2", 1)
		change(&i)
		w.refused(setInstances([]Instance{i}), ErrConflict, word)
	}
	w.must(&PutDeployment{sampleDeployment("other", "v1")})
	w.must(&SetInstances{Project: DefaultProject, Deployment: "other", Remove: []string{"i1"}})
	if got := ids(w.store); got != "i1" {
		t.Errorf("instances %q: another deployment's were removed", got)
	}
	gone := sampleInstance("i2", 1)
	gone.Deployment = "gone"
	w.refused(&SetInstances{Project: DefaultProject, Deployment: "gone", Add: []Instance{gone}}, ErrConflict, `deployment "gone"`)
}
