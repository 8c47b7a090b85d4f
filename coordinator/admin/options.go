package admin

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/engine/model"
)

// checkOptions refuses what could run nowhere in the fleet, however empty it were.
func (s *server) checkOptions(snap *state.Snapshot, v state.Version, o state.EngineOptions) error {
	err := s.Registry.Possible(v, o, devices(snap))
	if err == nil {
		return nil
	}
	var option *model.OptionError
	if !errors.As(err, &option) {
		return huma.NewError(http.StatusUnprocessableEntity, err.Error())
	}
	return huma.NewError(http.StatusUnprocessableEntity, "validation failed", &huma.ErrorDetail{
		Location: "body.options." + option.Field, Message: option.Text(),
	})
}

// devices of every host that belongs to the fleet.
func devices(snap *state.Snapshot) (list []state.Device) {
	for _, n := range snap.Nodes() {
		if n.RevokedMS == 0 {
			list = append(list, n.Devices...)
		}
	}
	return list
}
