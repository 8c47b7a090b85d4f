package api

import "time"

// KeySpec asks for an API key.
type KeySpec struct {
	Name string `json:"name" minLength:"1" maxLength:"128" doc:"whose it is"`
	Role string `json:"role,omitempty" enum:"admin,user" doc:"absent: user"`
}

// Key is an API key as lists show it: only a hash of its secret is stored.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Project string    `json:"project"`
	Role    string    `json:"role" enum:"admin,user"`
	Hint    string    `json:"hint" doc:"first and last characters of the secret"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// NewKey is a key with its secret, shown this once.
type NewKey struct {
	Key
	Secret string `json:"secret"`
}
