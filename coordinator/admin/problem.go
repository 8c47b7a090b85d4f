package admin

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Statuser is an error that knows its HTTP status and whose text may be shown.
type Statuser interface {
	error
	HTTPStatus() int
}

// Refusal is a Statuser made of a status and a sentence.
type Refusal struct {
	Status  int
	Message string
}

// Error is the sentence.
func (r *Refusal) Error() string { return r.Message }

// HTTPStatus of the answer.
func (r *Refusal) HTTPStatus() int { return r.Status }

// problem turns an error into the API's form. An error that does not know its
// status is ours: users learn that it happened, the log has the rest.
func problem(err error) error {
	var s Statuser
	if errors.As(err, &s) {
		return huma.NewError(s.HTTPStatus(), s.Error())
	}
	var h huma.StatusError
	if errors.As(err, &h) {
		return h
	}
	return huma.NewError(http.StatusInternalServerError, "internal error; the coordinator's log says more")
}
