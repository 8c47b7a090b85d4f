package state

// Every resource carries the id of the project it belongs to; times are Unix
// milliseconds, given by whoever issued the command, never read from a clock here.

// DefaultProject always exists.
const DefaultProject = "default"

// Role of an API key.
type Role string

// Key roles.
const (
	RoleAdmin Role = "admin" // everything
	RoleUser  Role = "user"  // the OpenAI surface only
)

// Project is a tenant.
type Project struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedMS int64  `json:"created_ms"`
}

// Key is an API key; its secret is known to its holder alone.
type Key struct {
	ID        string `json:"id"`
	Project   string `json:"project"`
	Name      string `json:"name"`
	Role      Role   `json:"role"`
	Hash      string `json:"hash"` // hex sha256 of the whole secret
	Hint      string `json:"hint"` // first and last characters, for people
	CreatedMS int64  `json:"created_ms"`
	RevokedMS int64  `json:"revoked_ms,omitempty"`
}

// JoinToken lets one node enrol once.
type JoinToken struct {
	ID        string `json:"id"`
	Hash      string `json:"hash"` // hex sha256 of the secret
	Role      string `json:"role"` // of the node: "agent" or "coordinator"
	CreatedMS int64  `json:"created_ms"`
	ExpiresMS int64  `json:"expires_ms"`
	UsedMS    int64  `json:"used_ms,omitempty"`
	UsedBy    string `json:"used_by,omitempty"` // node id
}

// Node is a host that enrolled.
type Node struct {
	ID        string   `json:"id"`
	Hostname  string   `json:"hostname"`
	Role      string   `json:"role"`
	KeyHash   string   `json:"key_hash"` // hex sha256 of its public key (SPKI)
	Devices   []Device `json:"devices,omitempty"`
	Version   string   `json:"version,omitempty"`
	JoinedMS  int64    `json:"joined_ms"`
	RevokedMS int64    `json:"revoked_ms,omitempty"`
}

// Device is something engines can run on.
type Device struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"` // "cpu" or "cuda"
	Name        string `json:"name"`
	MemoryBytes uint64 `json:"memory_bytes"` // usable for engines
	Cores       uint32 `json:"cores,omitempty"`
}

// Model is a name under which versions are kept.
type Model struct {
	Name      string `json:"name"`
	Project   string `json:"project"`
	CreatedMS int64  `json:"created_ms"`
}

// Version is an immutable manifest of files.
type Version struct {
	ID        string      `json:"id"`
	Model     string      `json:"model"`
	Project   string      `json:"project"`
	Files     []File      `json:"files"`
	Info      VersionInfo `json:"info"`
	Origin    Origin      `json:"origin,omitzero"`
	CreatedMS int64       `json:"created_ms"`
}

// Origin is where a version's files came from, as whoever added them says.
type Origin struct {
	Source   string `json:"source,omitempty"`   // "hf:org/name", without credentials
	Revision string `json:"revision,omitempty"` // what pins its content there
	Licence  string `json:"licence,omitempty"`
}

// File of a version. Digest is "sha256:<hex>" of the whole file; Chunks are hex
// sha256 of each ChunkSize bytes.
type File struct {
	Path      string   `json:"path"`
	Size      uint64   `json:"size"`
	Digest    string   `json:"digest"`
	ChunkSize uint32   `json:"chunk_size"`
	Chunks    []string `json:"chunks"`
}

// VersionInfo is what was read from the files when the version was added.
type VersionInfo struct {
	Architecture string `json:"architecture"`
	Format       string `json:"format"` // "gguf" or "safetensors"
	Parameters   uint64 `json:"parameters"`
	Context      uint32 `json:"context"`
	Quantisation string `json:"quantisation"`
	HasTemplate  bool   `json:"has_template"`
	Pooling      string `json:"pooling,omitempty"` // as model.Pooling writes it; "" where the files do not say
}

// EngineOptions are a deployment's choices for its engines; zero is the default.
// wire.EngineOptions documents each.
type EngineOptions struct {
	Backend       string `json:"backend,omitempty"`
	Context       uint32 `json:"context,omitempty"`
	MaxRunning    uint32 `json:"max_running,omitempty"`
	StepTokens    uint32 `json:"step_tokens,omitempty"`
	KVBytes       uint64 `json:"kv_bytes,omitempty"`
	Threads       uint32 `json:"threads,omitempty"`
	ISA           string `json:"isa,omitempty"`
	NoPrefixCache bool   `json:"no_prefix_cache,omitempty"`
	Invariant     bool   `json:"invariant,omitempty"`
	Queue         uint32 `json:"queue,omitempty"`
	StepLimitS    uint32 `json:"step_limit_s,omitempty"`
	Quant         string `json:"quant,omitempty"`
	KVDType       string `json:"kv_dtype,omitempty"`
}

// Deployment is desired state: how many engines of which version.
type Deployment struct {
	Name      string        `json:"name"`
	Project   string        `json:"project"`
	Model     string        `json:"model"`
	Version   string        `json:"version"` // version id
	Replicas  int           `json:"replicas"`
	Options   EngineOptions `json:"options"`
	CreatedMS int64         `json:"created_ms"`
	UpdatedMS int64         `json:"updated_ms"`
	// Generation goes up by one with each change of what is above.
	Generation uint64 `json:"generation,omitempty"`
}

// Footprint in bytes.
type Footprint struct {
	Weights     uint64 `json:"weights"`
	KV          uint64 `json:"kv"`
	Activations uint64 `json:"activations"`
	Workspace   uint64 `json:"workspace"`
}

// Total bytes.
func (f Footprint) Total() uint64 { return f.Weights + f.KV + f.Activations + f.Workspace }

// Instance is one engine process that shall run on a node.
type Instance struct {
	ID         string        `json:"id"`
	Project    string        `json:"project"`
	Deployment string        `json:"deployment"`
	Model      string        `json:"model"`
	Version    string        `json:"version"`
	Node       string        `json:"node"`
	Device     string        `json:"device"`
	Options    EngineOptions `json:"options"`
	Footprint  Footprint     `json:"footprint"`
	CreatedMS  int64         `json:"created_ms"`
}

// Route is the public model name apps use, with weights over deployments.
type Route struct {
	Name      string   `json:"name"`
	Project   string   `json:"project"`
	Targets   []Target `json:"targets"`
	CreatedMS int64    `json:"created_ms"`
}

// Target of a route.
type Target struct {
	Deployment string `json:"deployment"`
	Weight     int    `json:"weight"`
}
