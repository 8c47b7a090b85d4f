package agent

import (
	"context"

	"github.com/nanofleet/nanofleet/agent/link"
	"github.com/nanofleet/nanofleet/agent/runner"
	"github.com/nanofleet/nanofleet/agent/store"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// models is the store as the runner sees it: what is missing comes from coordinators.
type models struct {
	*store.Store
	sources []store.Source
}

var _ runner.Store = (*models)(nil)

// fromCoordinators makes sources of the coordinators' fleet ports.
func fromCoordinators(s *store.Store, l *link.Link) (*models, error) {
	addrs, err := l.Coordinators()
	if err != nil {
		return nil, err
	}
	client := transport.HTTPClient(l.Identity(), l.Identity().Pool())
	m := &models{Store: s}
	for _, addr := range addrs {
		m.sources = append(m.sources, store.HTTPSource{Client: client, Base: "https://" + addr})
	}
	return m, nil
}

// Pull fetches a version from the coordinators, as far as it is not here.
func (m *models) Pull(ctx context.Context, version string, manifest *wire.Manifest, progress func(done, total uint64)) (string, error) {
	return m.Store.Pull(ctx, version, manifest, m.sources, progress)
}
