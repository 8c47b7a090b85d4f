package coordinator

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/router"
	"github.com/nanofleet/nanofleet/gateway"
	"github.com/nanofleet/nanofleet/wire"
)

// gatewayRouter gives the router's errors the shape that the gateway answers with.
type gatewayRouter struct{ router *router.Router }

// Generate runs a sequence.
func (g gatewayRouter) Generate(ctx context.Context, model string, req *wire.GenerateRequest) (gateway.Stream, error) {
	s, err := g.router.Generate(ctx, model, req)
	if err != nil {
		return nil, gatewayError(err)
	}
	return gatewayStream{s}, nil
}

type gatewayStream struct{ *router.Stream }

// Recv gives the next event.
func (s gatewayStream) Recv() (*wire.GenerateEvent, error) {
	ev, err := s.Stream.Recv()
	return ev, gatewayError(err)
}

// gatewayError is the client's view of what the router found; the context's end and
// io.EOF stay as they are.
func gatewayError(err error) error {
	var busy *router.BusyError
	var absent *router.NotReadyError
	var engine *router.EngineError
	var poison *router.PoisonError
	switch {
	case errors.As(err, &busy):
		return &gateway.Error{Status: http.StatusTooManyRequests, Code: "server_is_overloaded", RetryAfter: busy.RetryAfter,
			Message: "All instances of the model `" + busy.Model + "` are busy. Please try again shortly."}
	case errors.As(err, &absent):
		return unavailable("No instance of the model `"+absent.Model+"` is ready.", absent.RetryAfter)
	case errors.As(err, &engine):
		return gateway.FromWire(engine.Wire)
	case errors.As(err, &poison):
		return &gateway.Error{Status: http.StatusUnprocessableEntity, Code: "request_ended_engines", Message: poisonMessage(poison)}
	case errors.Is(err, router.ErrUnknownModel):
		return &gateway.Error{Status: http.StatusNotFound, Code: "model_not_found", Message: "The model does not exist, or no longer does."}
	case errors.Is(err, router.ErrDeadline):
		return gateway.FromWire(&wire.Error{Code: wire.ErrorCode_ERROR_CODE_DEADLINE, Message: "The request's deadline has passed."})
	case errors.Is(err, router.ErrBroken):
		return unavailable("Every instance that ran this request failed.", 0)
	}
	return err
}

// poisonMessage says what happened and what may be done.
func poisonMessage(e *router.PoisonError) string {
	what := "This request ended every engine that ran it"
	if e.Again {
		what = "The same request ended its engines before"
	}
	return what + ", so it is not run again until " + e.Until.UTC().Format(time.RFC3339) +
		". Change its prompt or its sampling parameters, and tell the fleet's operator: the engines' logs say more."
}

func unavailable(message string, after time.Duration) error {
	return &gateway.Error{Status: http.StatusServiceUnavailable, Code: "service_unavailable", Message: message, RetryAfter: after}
}
