package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

const (
	maxBodyBytes  = 10 << 20 // of a request's body
	bodyPatience  = time.Minute
	maxDrainBytes = 64 << 20 // read past that limit, so that the client gets to read the answer
)

func tooLarge(limit int64) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Code: "request_too_large",
		Message: fmt.Sprintf("The body of your request is larger than the limit of %d bytes.", limit),
	}
}

// body reads the request's JSON object.
func (x *exchange) body() (object, error) {
	if enc := x.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return object{}, &Error{Status: http.StatusUnsupportedMediaType, Message: fmt.Sprintf("Content-Encoding %q is not supported; send the body as it is.", enc)}
	}
	text, err := x.read()
	if err != nil {
		return object{}, err
	}
	v, err := chat.ParseOrderedJSON(text)
	if err != nil {
		return object{}, err
	}
	dict, ok := v.(*jinja.Dict)
	if !ok {
		return object{}, &Error{Status: http.StatusBadRequest, Code: "invalid_json", Message: "The body of your request must be a JSON object, not " + jsonType(v) + "."}
	}
	return object{dict: dict}, nil
}

// read is the whole body, which must arrive in time.
func (x *exchange) read() (string, error) {
	control := http.NewResponseController(x.w)
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // not every writer has deadlines
	if x.r.ContentLength > maxBodyBytes {
		_, _ = io.CopyN(io.Discard, x.r.Body, maxDrainBytes)
		return "", tooLarge(maxBodyBytes)
	}
	text, err := gather(io.LimitReader(x.r.Body, maxBodyBytes+1), x.r.ContentLength)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", &Error{Status: http.StatusRequestTimeout, Code: "body_timeout", Message: fmt.Sprintf("The body of your request did not arrive within %s.", bodyPatience)}
	case err != nil:
		return "", &Error{Status: http.StatusBadRequest, Code: "invalid_body", Message: "The body of your request could not be read: " + err.Error()}
	case len(text) > maxBodyBytes:
		_, _ = io.CopyN(io.Discard, x.r.Body, maxDrainBytes)
		return "", tooLarge(maxBodyBytes)
	}
	_ = control.SetReadDeadline(time.Time{})
	return text, nil
}

// gather reads all of a body. Its memory grows as bytes arrive, whatever length was
// announced, and to no more than that.
func gather(r io.Reader, announced int64) (string, error) {
	out, piece := &strings.Builder{}, make([]byte, 32<<10)
	for {
		n, err := r.Read(piece)
		if need := out.Len() + n; need > out.Cap() {
			size := 2 * need
			if int(announced) >= need {
				size = min(size, int(announced))
			}
			bigger := &strings.Builder{}
			bigger.Grow(size)
			bigger.WriteString(out.String())
			out = bigger
		}
		out.Write(piece[:n])
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}
