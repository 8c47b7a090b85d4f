package coordinator

import (
	"os"
	"path/filepath"
	"time"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
	"github.com/nanofleet/nanofleet/internal/pki"
)

// nodeCertTTL of a coordinator, which renews with its own authority.
const nodeCertTTL = 24 * time.Hour

// openPKI opens the fleet's authority, founding it when the directory is empty, and
// the identity of this coordinator in it.
func openPKI(dir string, newID func() string, now time.Time) (*pki.CA, *pki.Identity, error) {
	ca, err := pki.OpenCA(filepath.Join(dir, "ca"), now)
	if err != nil {
		return nil, nil, err
	}
	id, err := pki.OpenIdentity(filepath.Join(dir, "pki"))
	if err != nil {
		return nil, nil, err
	}
	name := "coordinator-" + newID()
	if id.Enrolled() {
		name = id.Peer().NodeID
		if now.Before(id.RenewAt()) {
			return ca, id, nil
		}
	}
	return ca, id, certify(ca, id, name, now)
}

// certify gives the coordinator a fresh certificate for the key it has.
func certify(ca *pki.CA, id *pki.Identity, name string, now time.Time) error {
	csr, err := id.CSR(name)
	if err != nil {
		return err
	}
	chain, err := ca.Sign(csr, pki.Peer{Role: pki.RoleCoordinator, NodeID: name}, nodeCertTTL, now)
	if err != nil {
		return err
	}
	return id.Install(chain)
}

// writeCA leaves the authority's certificate where clients find it.
func writeCA(path string, ca *pki.CA) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, pki.EncodeCert(ca.Certificate()), 0o644)
}
