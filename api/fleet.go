package api

import "time"

// Device is something engines run on.
type Device struct {
	ID          string `json:"id"`
	Kind        string `json:"kind" enum:"cpu,cuda"`
	Name        string `json:"name"`
	MemoryBytes uint64 `json:"memory_bytes" doc:"usable for engines"`
	Reserved    uint64 `json:"reserved_bytes" doc:"promised to instances"`
	Cores       uint32 `json:"cores,omitempty"`
}

// Node is a host of the fleet.
type Node struct {
	ID       string    `json:"id"`
	Hostname string    `json:"hostname"`
	Role     string    `json:"role" enum:"agent,coordinator"`
	State    string    `json:"state" enum:"connected,silent,revoked"`
	Version  string    `json:"version,omitempty"`
	Devices  []Device  `json:"devices"`
	Joined   time.Time `json:"joined"`
	LastSeen time.Time `json:"last_seen,omitzero"`
}

// Status is the fleet at a glance.
type Status struct {
	Version     string       `json:"version" doc:"of the coordinator's binary"`
	Leader      string       `json:"leader" doc:"id of the leading coordinator"`
	Index       uint64       `json:"index" doc:"last applied log index"`
	Nodes       []Node       `json:"nodes"`
	Deployments []Deployment `json:"deployments"`
}

// TokenSpec asks for a join token.
type TokenSpec struct {
	Role string `json:"role,omitempty" enum:"agent" doc:"of the node that will join"`
	TTL  string `json:"ttl,omitempty" doc:"how long it is good, as in 1h30m; absent: 1h"`
}

// Token joins one node once.
type Token struct {
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
}
