package coordinator

import (
	"strings"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/admin"
	"github.com/nanofleet/nanofleet/coordinator/agents"
	"github.com/nanofleet/nanofleet/coordinator/router"
	"github.com/nanofleet/nanofleet/wire"
)

// liveView shows the management API what agents reported and what placement found.
type liveView struct {
	replica *replica
	table   *agents.Table
	router  *router.Router // nil until the API is served

	mu     sync.Mutex
	placed *placed
}

// Instance gives an agent's last word about an instance.
func (l *liveView) Instance(id string) (admin.InstanceView, bool) {
	inst, ok := l.replica.Snapshot().Instance(id)
	if !ok {
		return admin.InstanceView{}, false
	}
	st, live := l.table.Instance(inst.Node, id)
	if st == nil {
		return admin.InstanceView{State: "pending"}, true
	}
	v := admin.InstanceView{
		State:      stateName(st.GetState()),
		Message:    st.GetMessage(),
		Restarts:   st.GetRestarts(),
		Numerics:   st.GetReady().GetNumericsId(),
		Running:    st.GetStats().GetRunning(),
		Waiting:    st.GetStats().GetWaiting(),
		DecodeRate: st.GetStats().GetDecodeRate(),
		Since:      time.UnixMilli(st.GetSinceUnixMs()).UTC(),
		Phase:      st.GetProgressPhase(),
		Done:       st.GetProgressDone(),
		Total:      st.GetProgressTotal(),
		Rate:       st.GetProgressRate(),
	}
	if !live {
		v.State, v.Message = "unknown", "its agent is silent"
	}
	return v, true
}

// stateName is the lower-case word of an instance's state.
func stateName(s wire.InstanceState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "INSTANCE_STATE_"))
}

// Node gives what is known of a node beyond its registration.
func (l *liveView) Node(id string) (admin.NodeView, bool) {
	connected, seen, known := l.table.Node(id)
	return admin.NodeView{Connected: connected, LastSeen: seen.UTC()}, known
}

// Queued counts the requests that wait for a model name.
func (l *liveView) Queued(project, model string) int {
	if l.router == nil {
		return 0
	}
	return l.router.Waiting(project, model)
}

// Placed says for which generation of a deployment placement acted last, and why
// replicas are missing.
func (l *liveView) Placed(project, deployment string) (generation uint64, problem string) {
	key, p := [2]string{project, deployment}, l.lastPlaced()
	return p.generations[key], p.problems[key]
}

// Old tells of an instance that stays until it is replaced.
func (l *liveView) Old(id string) bool { return l.lastPlaced().old[id] }

func (l *liveView) lastPlaced() *placed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.placed
}

func (l *liveView) setPlaced(p *placed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.placed = p
}
