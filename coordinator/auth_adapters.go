package coordinator

import (
	"context"
	"net/http"

	"github.com/nanofleet/nanofleet/coordinator/admin"
	"github.com/nanofleet/nanofleet/coordinator/auth"
	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/gateway"
)

// adminAuth admits keys of the admin role to the management API.
type adminAuth struct{ keys *auth.Authenticator }

// AuthenticateAdmin tells whose key the Authorization header holds.
func (a adminAuth) AuthenticateAdmin(_ context.Context, header string) (admin.Caller, error) {
	id, err := a.keys.Authenticate(header)
	if err != nil {
		return admin.Caller{}, refusal{err, http.StatusUnauthorized}
	}
	if id.Role != state.RoleAdmin {
		return admin.Caller{}, &admin.Refusal{Status: http.StatusForbidden, Message: "this key is of the role " + string(id.Role) + "; the management API wants role admin"}
	}
	return admin.Caller{KeyID: id.KeyID, Project: id.Project}, nil
}

// gatewayAuth admits any key to the OpenAI surface.
type gatewayAuth struct{ keys *auth.Authenticator }

// Authenticate tells whose key the Authorization header holds.
func (a gatewayAuth) Authenticate(_ context.Context, header string) (gateway.Identity, error) {
	id, err := a.keys.Authenticate(header)
	if err != nil {
		return gateway.Identity{}, err
	}
	return gateway.Identity{KeyID: id.KeyID, Project: id.Project}, nil
}

// requireKey asks for any valid key before h.
func requireKey(keys *auth.Authenticator, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := keys.Authenticate(r.Header.Get("Authorization")); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}
