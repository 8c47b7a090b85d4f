package transport

import (
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/wire"
)

// openers lists which roles may open which kind of stream towards us. ENROL is open to
// all; CONTROL lives on unix sockets and to nobody here.
var openers = map[wire.StreamKind][]pki.Role{
	wire.StreamKind_STREAM_KIND_ENROL:    {pki.RoleNone, pki.RoleAgent, pki.RoleCoordinator},
	wire.StreamKind_STREAM_KIND_RENEW:    {pki.RoleAgent, pki.RoleCoordinator},
	wire.StreamKind_STREAM_KIND_SESSION:  {pki.RoleAgent},
	wire.StreamKind_STREAM_KIND_GENERATE: {pki.RoleCoordinator},
	wire.StreamKind_STREAM_KIND_RAFT:     {pki.RoleCoordinator},
}

// mayOpen tells whether a peer of that role may open a stream of that kind.
func mayOpen(role pki.Role, expired bool, kind wire.StreamKind) bool {
	if expired && kind != wire.StreamKind_STREAM_KIND_RENEW {
		return false
	}
	for _, r := range openers[kind] {
		if r == role {
			return true
		}
	}
	return false
}
