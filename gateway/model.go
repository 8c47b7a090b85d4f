package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/wire"
)

// ErrNoModel is returned by a [Catalog] for a name that the project has not.
var ErrNoModel = errors.New("gateway: no such model")

// Model is what a request needs of a model before it can run.
type Model struct {
	Name       string // as apps name it
	Deployment string
	Tokenizer  *tokenizer.Tokenizer
	Template   *chat.Template // the default; nil: the model has none
	Templates  []chat.Named   // those besides it, which a request may name
	Context    int            // most tokens of prompt and answer together
	Width      int            // of a pooled vector; 0: not known
	Pooling    wire.Pooling   // the model's own; none: it has not said
	RawVectors bool           // they keep their length, where a request does not say
	BOS, EOS   string         // as the template sees them; "" where the model has none
	Created    time.Time
}

// ModelInfo is a line of the list of models.
type ModelInfo struct {
	Name    string
	Created time.Time
}

// modelObject is a model as OpenAI's API shows it.
type modelObject struct {
	ID      string  `json:"id"`
	Object  string  `json:"object"`
	Created int64   `json:"created"`
	OwnedBy string  `json:"owned_by"`
	Root    string  `json:"root"`
	Parent  *string `json:"parent"`
}

func (m ModelInfo) object() modelObject {
	return modelObject{ID: m.Name, Object: "model", Created: m.Created.Unix(), OwnedBy: "nanofleet", Root: m.Name}
}

// listModels answers GET /v1/models.
func (g *Gateway) listModels(x *exchange) error {
	list := struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{}}
	for _, m := range g.Catalog.List(x.identity.Project) {
		list.Data = append(list.Data, m.object())
	}
	return x.answer(list)
}

// showModel answers GET /v1/models/{model}.
func (g *Gateway) showModel(x *exchange) error {
	name := x.r.PathValue("model")
	for _, m := range g.Catalog.List(x.identity.Project) {
		if m.Name == name {
			return x.answer(m.object())
		}
	}
	return noModel(name)
}

// resolve finds the model a request names.
func (g *Gateway) resolve(x *exchange, name string) (*Model, error) {
	x.record.Model = name
	m, err := g.Catalog.Resolve(x.identity.Project, name)
	if errors.Is(err, ErrNoModel) {
		return nil, noModel(name)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func noModel(name string) error {
	return &Error{
		Status: http.StatusNotFound, Code: "model_not_found", Param: "model",
		Message: "The model '" + name + "' does not exist or you do not have access to it.",
	}
}
