package auth

import (
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/secrets"
)

// Refusals, in words that may be shown. None tells more than its holder knows.
var (
	ErrNoKey   = errors.New("no API key: send the header Authorization: Bearer <key>")
	ErrBadKey  = errors.New("incorrect API key")
	ErrRevoked = errors.New("this API key was revoked")
)

// Identity is whom a key speaks for.
type Identity struct {
	KeyID   string
	Name    string
	Project string
	Role    state.Role
}

// Authenticator checks keys against the current snapshot. It is safe for concurrent
// use.
type Authenticator struct{ snapshot func() *state.Snapshot }

// New makes an Authenticator over snapshots of the state.
func New(snapshot func() *state.Snapshot) *Authenticator {
	return &Authenticator{snapshot: snapshot}
}

// maxHeader is far above any key of ours; longer headers are not worth a hash.
const maxHeader = 512

// Authenticate tells whose the key in an Authorization header is: ErrNoKey,
// ErrBadKey or ErrRevoked when it is nobody's.
func (a *Authenticator) Authenticate(header string) (Identity, error) {
	secret, ok := bearer(header)
	if !ok {
		return Identity{}, ErrNoKey
	}
	hash := secrets.Hash(secret)
	key, known := a.snapshot().KeyByHash(hash)
	// The index compared hashes, not secrets; this comparison says so in code.
	if !known || subtle.ConstantTimeCompare([]byte(key.Hash), []byte(hash)) != 1 {
		return Identity{}, ErrBadKey
	}
	if key.RevokedMS != 0 {
		return Identity{}, ErrRevoked
	}
	return Identity{KeyID: key.ID, Name: key.Name, Project: key.Project, Role: key.Role}, nil
}

// bearer takes the credential out of a header; the scheme's case does not matter
// (RFC 9110 section 11.1).
func bearer(header string) (string, bool) {
	scheme, secret, ok := strings.Cut(header, " ")
	secret = strings.TrimSpace(secret)
	if !ok || !strings.EqualFold(scheme, "Bearer") || secret == "" || len(header) > maxHeader {
		return "", false
	}
	return secret, true
}
