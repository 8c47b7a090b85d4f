package coordinator

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nanofleet/nanofleet/gateway"
	"github.com/nanofleet/nanofleet/internal/pki"
)

// Bounds on what a peer may do before it has shown a key.
const (
	headerPatience = 10 * time.Second // for a TLS handshake, and for a request's header
	idlePatience   = 2 * time.Minute  // between requests
	headerMax      = 32 << 10         // bytes; the library adds 4 KiB of its own
)

// port says how a port is served.
type port struct {
	log    *slog.Logger
	grace  time.Duration // for open requests at the end
	crowd  *crowd        // nil: any number of connections
	header time.Duration // 0: headerPatience
}

// serveHTTP serves h on l until ctx ends, then lets open requests finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, how port) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cmp.Or(how.header, headerPatience),
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    headerMax,
		ErrorLog:          slog.NewLogLogger(how.log.Handler(), slog.LevelDebug),
	}
	if how.crowd != nil {
		s.ConnState = how.crowd.state
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), how.grace)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		return s.Close()
	}
	return nil
}

// listenAPI listens for apps and operators: plain HTTP on loopback, TLS elsewhere or
// when a certificate is given.
func listenAPI(cfg Config, ca *pki.CA, now func() time.Time, crowd *crowd) (net.Listener, error) {
	l, err := net.Listen("tcp", cfg.API)
	if err != nil {
		return nil, err
	}
	l = crowd.bound(l)
	conf, err := apiTLS(cfg, ca, now)
	if err != nil {
		l.Close()
		return nil, err
	}
	if conf == nil {
		return l, nil
	}
	conf.NextProtos = []string{"http/1.1"}
	return tls.NewListener(l, conf), nil
}

func apiTLS(cfg Config, ca *pki.CA, now func() time.Time) (*tls.Config, error) {
	if cfg.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return nil, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, nil
	}
	host, _, err := net.SplitHostPort(cfg.API)
	if err != nil || loopback(host) {
		return nil, err
	}
	return ca.ServerTLS(apiHosts(host), now), nil
}

// apiHosts are the names a certificate for the address must hold; an unspecified
// address is reached by every address of the host.
func apiHosts(host string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return append(hosts, host)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return hosts
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}

// health mounts the anonymous probes: they say nothing but their status.
func (c *Coordinator) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !c.ready() || !c.serves() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("not ready\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}

// catchUpPatience is how long a request waits for the state after a start.
const catchUpPatience = 15 * time.Second

// hold keeps requests that the state decides until it is as last committed: to an
// empty state every key is wrong and every model unknown. Probes and documents pass.
func (c *Coordinator) hold(h http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStateless(r.URL.Path) || c.awaitState(r.Context(), patience) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":{"message":"The coordinator has just started and its state is not restored yet. Try again.",`+
			`"type":"server_error","param":null,"code":"service_unavailable"}}`+"\n")
	})
}

func isStateless(path string) bool {
	for _, prefix := range append([]string{"/api/", "/metrics"}, gateway.Paths...) {
		if strings.HasPrefix(path, prefix) {
			return false
		}
	}
	return true
}

// awaitState waits until the state is as last committed, and tells whether it is.
func (c *Coordinator) awaitState(ctx context.Context, patience time.Duration) bool {
	select {
	case <-c.caughtUp:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c.caughtUp:
		return true
	case <-ctx.Done():
		return false
	}
}

// metricsPort serves all metrics to whoever is on this host.
func (c *Coordinator) metricsPort() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", c.metricsHandler())
	mux.Handle("/metrics/vllm", c.aliasHandler())
	return mux
}

// metricsHandler serves the registry's metrics.
func (c *Coordinator) metricsHandler() http.Handler {
	return promhttp.HandlerFor(c.metrics, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
