package admin

import (
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// Where a model came from is kept with its version.
func TestOrigin(t *testing.T) {
	f := serve(t)
	files, err := api.LocalModel(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	from := api.Origin{Source: "hf:org/tiny", Revision: strings.Repeat("a", 40), Licence: "apache-2.0"}
	if v, err := f.client.AddFiles(t.Context(), "tiny", files, from, nil); err != nil || v.Origin != from {
		t.Errorf("%+v, %v", v, err)
	}
	models, err := f.client.Models(t.Context())
	if err != nil || models[0].Versions[0].Origin != from {
		t.Errorf("%+v, %v", models, err)
	}
	_, err = f.client.AddFiles(t.Context(), "long", files, api.Origin{Source: strings.Repeat("x", 257)}, nil)
	refused(t, err, 422, "source")
}
