package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// Config of one coordinator.
type Config struct {
	Dir          string // state, model files, keys
	API          string // host:port of the HTTP API
	Fleet        string // host:port for agents and other coordinators, UDP and TCP
	Metrics      string // host:port of /metrics without a key; loopback only
	Bootstrap    bool   // found a new fleet when Dir is empty
	AdminKeyFile string // where the first admin key is left; "" = Dir/admin-key
	CAFile       string // where the authority's certificate is left for clients
	TLSCert      string // of the API; "" = one of the fleet's authority when not on loopback
	TLSKey       string
	Version      string // of the binary
	Log          *slog.Logger
}

// Validate names the first key out of bounds.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("data: empty, must name a directory")
	}
	for key, addr := range map[string]string{"api": c.API, "listen": c.Fleet, "metrics": c.Metrics} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s: %q, must be host:port", key, addr)
		}
	}
	if host, _, _ := net.SplitHostPort(c.Metrics); !loopback(host) {
		return fmt.Errorf("metrics: %q, must be a loopback address, since it asks for no key", c.Metrics)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("tls-cert and tls-key: one is empty, must be given together")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
