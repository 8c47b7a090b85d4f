package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
)

// Coordinators are the addresses to dial: those given, else those learnt.
func (l *Link) Coordinators() ([]string, error) {
	if len(l.cfg.Coordinators) > 0 {
		return l.cfg.Coordinators, nil
	}
	b, err := os.ReadFile(l.addressesPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoCoordinators
	}
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	var addrs []string
	if err := json.Unmarshal(b, &addrs); err != nil {
		return nil, fmt.Errorf("link: %s: %w", l.addressesPath(), err)
	}
	if len(addrs) == 0 {
		return nil, ErrNoCoordinators
	}
	return addrs, nil
}

func (l *Link) addressesPath() string { return filepath.Join(l.cfg.Dir, "coordinators.json") }

// learn keeps the addresses that the coordinator at dialled told.
func (l *Link) learn(addrs []string, dialled string) error {
	var reachable []string
	for _, a := range addrs {
		if r, ok := reach(a, dialled); ok {
			reachable = append(reachable, r)
		}
	}
	if len(reachable) == 0 {
		reachable = []string{dialled}
	}
	b, err := json.Marshal(reachable)
	if err != nil {
		return err
	}
	return atomicfile.Write(l.addressesPath(), append(b, '\n'), 0o600)
}

// reach makes an address fit for dialling: a coordinator that listens on every
// address of its host does not know by which one it is reached, but we do.
func reach(addr, dialled string) (string, bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" || port == "0" {
		return "", false
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return addr, true
	}
	known, _, err := net.SplitHostPort(dialled)
	if err != nil {
		return "", false
	}
	return net.JoinHostPort(known, port), true
}
