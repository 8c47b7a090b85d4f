package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/wire"
)

// Error is a failure as clients see it: OpenAI's error object and its HTTP
// status. Zero fields are filled in by the status.
type Error struct {
	Status     int
	Type       string // "": by status
	Code       string // "": null
	Param      string // the request field at fault; "": null
	Message    string // fit to be shown
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Message }

// kind is the error's type, by its status where it says none.
func (e *Error) kind() string {
	switch {
	case e.Type != "":
		return e.Type
	case e.Status == http.StatusTooManyRequests:
		return "rate_limit_exceeded"
	case e.Status == http.StatusForbidden:
		return "permission_error"
	case e.Status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

type errorBody struct {
	Error errorObject `json:"error"`
}

// errorObject has all four keys always, as OpenAI's has.
type errorObject struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (e *Error) body() errorBody {
	return errorBody{errorObject{Message: e.Message, Type: e.kind(), Param: nullable(e.Param), Code: nullable(e.Code)}}
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// headers tells clients when to try again.
func (e *Error) headers(h http.Header) {
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	switch {
	case e.Type == "insufficient_quota", // a spent budget does not come back in seconds
		e.Code == "deadline_exceeded",                                // nor does the time that the client gave
		e.Code == "numeric_error", e.Code == "request_ended_engines": // the same again is computed the same
		h.Set("X-Should-Retry", "false")
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
		h.Set("Retry-After-Ms", strconv.FormatInt(e.RetryAfter.Milliseconds(), 10))
	}
}

// bad is a 400 about one field.
func bad(param, format string, args ...any) *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: "invalid_value", Param: param,
		Message: fmt.Sprintf("Invalid '%s': ", param) + fmt.Sprintf(format, args...),
	}
}

// missing is a 400 about a field that must be there.
func missing(param, format string, args ...any) *Error {
	e := bad(param, format, args...)
	e.Code = "missing_required_parameter"
	return e
}

// unsupported is a 400 about a field that is known and not served.
func unsupported(param, format string, args ...any) *Error {
	e := bad(param, format, args...)
	e.Code = "unsupported_value"
	return e
}

// FromWire is the client's view of an error that an engine or agent reports.
func FromWire(w *wire.Error) *Error {
	e := &Error{Status: http.StatusInternalServerError, Message: w.GetMessage(), Param: w.GetParam(), RetryAfter: time.Duration(w.GetRetryAfterMs()) * time.Millisecond}
	switch w.GetCode() {
	case wire.ErrorCode_ERROR_CODE_INVALID:
		e.Status, e.Code = http.StatusBadRequest, "invalid_value"
	case wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH:
		e.Status, e.Code = http.StatusBadRequest, "context_length_exceeded"
	case wire.ErrorCode_ERROR_CODE_NOT_FOUND:
		e.Status, e.Code = http.StatusNotFound, "model_not_found"
	case wire.ErrorCode_ERROR_CODE_BUSY:
		e.Status, e.Code = http.StatusTooManyRequests, "server_is_overloaded"
	case wire.ErrorCode_ERROR_CODE_UNAVAILABLE:
		e.Status, e.Code = http.StatusServiceUnavailable, "service_unavailable"
	case wire.ErrorCode_ERROR_CODE_DENIED:
		e.Status = http.StatusForbidden
	case wire.ErrorCode_ERROR_CODE_DEADLINE:
		e.Status, e.Code = http.StatusRequestTimeout, "deadline_exceeded"
	case wire.ErrorCode_ERROR_CODE_NUMERIC:
		e.Code = "numeric_error"
	case wire.ErrorCode_ERROR_CODE_POISON:
		e.Status, e.Code = http.StatusUnprocessableEntity, "request_ended_engines"
	}
	if e.Message == "" {
		e.Message = http.StatusText(e.Status)
	}
	return e
}

// errorOf is the client's view of any error. What nobody meant for clients is
// told as an internal error, without its text.
func errorOf(err error) *Error {
	var own *Error
	var json *chat.JSONError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &json):
		return &Error{Status: http.StatusBadRequest, Code: "invalid_json", Message: "We could not parse the body of your request: " + json.Error()}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "internal_error", Message: "The server had an error while processing your request."}
}

// templateError is the client's view of a rendering that failed.
func templateError(err error) error {
	var raised *chat.TemplateError
	var runtime *chat.RuntimeError
	var input *chat.InputError
	var limit *chat.LimitError
	switch {
	case errors.As(err, &raised), errors.As(err, &input):
		return bad("messages", "%s", err)
	case errors.As(err, &runtime), errors.As(err, &limit):
		return bad("messages", "the model's chat template cannot render this conversation: %s", err)
	}
	return err
}
