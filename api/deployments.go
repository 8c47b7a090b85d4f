package api

import "time"

// EngineOptions are a deployment's choices for its engines; a zero value takes the
// default of the backend.
type EngineOptions struct {
	Backend       string `json:"backend,omitempty" enum:"cpu,cuda,ref" doc:"what computes; absent: cuda where there is a GPU, else cpu"`
	Context       uint32 `json:"context,omitempty" doc:"longest sequence in tokens; absent: the model's own" maximum:"16777216"`
	MaxRunning    uint32 `json:"max_running,omitempty" doc:"sequences computed at once" maximum:"1024"`
	StepTokens    uint32 `json:"step_tokens,omitempty" doc:"token budget of one step" maximum:"65536"`
	KVBytes       uint64 `json:"kv_bytes,omitempty" doc:"bytes of the KV pool"`
	Threads       uint32 `json:"threads,omitempty" doc:"compute threads" maximum:"1024"`
	ISA           string `json:"isa,omitempty" doc:"instruction set of the cpu backend" enum:"plain,avx2"`
	NoPrefixCache bool   `json:"no_prefix_cache,omitempty"`
	Invariant     bool   `json:"invariant,omitempty" doc:"demand bits that never depend on the batch"`
	Queue         uint32 `json:"queue,omitempty" doc:"requests held beyond those that run" maximum:"65536"`
	StepLimitS    uint32 `json:"step_limit_s,omitempty" doc:"seconds after which a step counts as hung and its engine is replaced; absent: 30 on cuda, else 600" maximum:"86400"`
	Quant         string `json:"quant,omitempty" doc:"how weights are quantised as they are loaded; absent: as they come" enum:"none,fp8,int4"`
	KVDType       string `json:"kv_dtype,omitempty" doc:"element type of the KV; absent: the backend's own, bf16 on cuda, f16 on cpu" enum:"bf16,fp8,f16,f32"`
}

// DeploymentSpec is what an operator asks for.
type DeploymentSpec struct {
	Model    string        `json:"model" minLength:"1" maxLength:"128"`
	Version  string        `json:"version,omitempty" doc:"version id; absent: the newest"`
	Replicas int           `json:"replicas" minimum:"0" maximum:"1024"`
	Options  EngineOptions `json:"options,omitempty"`
}

// Deployment is desired state and how far it has come.
type Deployment struct {
	Name       string        `json:"name"`
	Model      string        `json:"model"`
	Version    string        `json:"version"`
	Replicas   int           `json:"replicas"`
	Ready      int           `json:"ready" doc:"instances that can serve and are as asked for now"`
	Queued     int           `json:"queued" doc:"requests that wait in the coordinator for an instance with room"`
	Options    EngineOptions `json:"options"`
	Instances  []Instance    `json:"instances"`
	Problem    string        `json:"problem,omitempty" doc:"why replicas are missing"`
	Created    time.Time     `json:"created"`
	Updated    time.Time     `json:"updated"`
	Generation uint64        `json:"generation" doc:"goes up with each change of what is asked for"`
	Placed     uint64        `json:"placed_generation" doc:"the one that instances were last placed for"`
}

// Settled tells whether a deployment is what it shall be: it was placed as it is asked
// for now, nothing of an earlier one runs beside its replicas, and all of them are ready.
func (d *Deployment) Settled() bool {
	return d.Placed == d.Generation && d.Problem == "" && d.Ready == d.Replicas && len(d.Instances) == d.Replicas
}

// Footprint in bytes by class.
type Footprint struct {
	Weights     uint64 `json:"weights"`
	KV          uint64 `json:"kv"`
	Activations uint64 `json:"activations"`
	Workspace   uint64 `json:"workspace"`
	Total       uint64 `json:"total"`
}

// Instance is one engine process.
type Instance struct {
	ID         string    `json:"id"`
	Deployment string    `json:"deployment"`
	Version    string    `json:"version"`
	Node       string    `json:"node"`
	Device     string    `json:"device"`
	State      string    `json:"state" enum:"pending,pulling,loading,warming,ready,draining,stopped,failed,unknown"`
	Message    string    `json:"message,omitempty"`
	Old        bool      `json:"old,omitempty" doc:"of an earlier generation; it stays until its replacement is ready"`
	Since      time.Time `json:"since,omitzero" doc:"when it came into its state"`
	Phase      string    `json:"phase,omitempty" doc:"of a state that makes progress: fetch, map, repack or warm"`
	Progress   float64   `json:"progress,omitempty" doc:"share of the present phase, 0 to 1"`
	Done       uint64    `json:"progress_bytes,omitempty" doc:"of the present phase"`
	Total      uint64    `json:"progress_total_bytes,omitempty"`
	Rate       float64   `json:"progress_bytes_per_second,omitempty" doc:"over the last seconds; absent while it is not known"`
	Left       float64   `json:"progress_seconds_left,omitempty" doc:"of the present phase, at that rate"`
	Restarts   uint32    `json:"restarts"`
	Numerics   string    `json:"numerics_id,omitempty"`
	Running    uint32    `json:"running"`
	Waiting    uint32    `json:"waiting"`
	Decode     float64   `json:"decode_tokens_per_second"`
	Footprint  Footprint `json:"footprint"`
}
