package agents

import (
	"encoding/hex"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/wire"
)

// desired is everything the node shall run, as of the snapshot.
func desired(snap *state.Snapshot, node string) *wire.Desired {
	d := &wire.Desired{Revision: snap.Index()}
	for _, i := range snap.InstancesOn(node) {
		v, ok := snap.Version(i.Version)
		if !ok {
			continue // state removes no version that an instance names
		}
		d.Instances = append(d.Instances, spec(i, v))
	}
	return d
}

func sameInstances(a, b *wire.Desired) bool {
	return slices.EqualFunc(a.GetInstances(), b.GetInstances(), func(x, y *wire.InstanceSpec) bool { return proto.Equal(x, y) })
}

func spec(i state.Instance, v state.Version) *wire.InstanceSpec {
	return &wire.InstanceSpec{
		Instance:   i.ID,
		Project:    i.Project,
		Deployment: i.Deployment,
		Model:      i.Model,
		Version:    i.Version,
		Manifest:   manifest(v.Files),
		Options:    engineOptions(i.Options),
		Footprint: &wire.Footprint{
			Weights: i.Footprint.Weights, Kv: i.Footprint.KV,
			Activations: i.Footprint.Activations, Workspace: i.Footprint.Workspace,
		},
		Device: i.Device,
	}
}

func engineOptions(o state.EngineOptions) *wire.EngineOptions {
	return &wire.EngineOptions{
		Backend: o.Backend, Context: o.Context, MaxRunning: o.MaxRunning, StepTokens: o.StepTokens,
		KvBytes: o.KVBytes, Threads: o.Threads, Isa: o.ISA, NoPrefixCache: o.NoPrefixCache,
		Invariant: o.Invariant, Queue: o.Queue, StepLimitS: o.StepLimitS,
		Quant: o.Quant, KvDtype: o.KVDType,
	}
}

func manifest(files []state.File) *wire.Manifest {
	m := &wire.Manifest{}
	for _, f := range files {
		w := &wire.File{Path: f.Path, Size: f.Size, Digest: f.Digest, ChunkSize: f.ChunkSize}
		for _, c := range f.Chunks {
			sum, err := hex.DecodeString(c)
			if err != nil {
				continue // registry checked it; the agent verifies the whole digest
			}
			w.Chunks = append(w.Chunks, sum)
		}
		m.Files = append(m.Files, w)
	}
	return m
}
