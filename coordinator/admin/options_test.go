package admin

import (
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// What no host could run is refused by field, value and bound, and what is deployed
// stays as it was.
func TestImpossibleOptions(t *testing.T) {
	f := serve(t)
	f.join("node-1")
	if _, err := f.client.AddModel(t.Context(), "tiny", tiny.GGUF(), nil); err != nil {
		t.Fatal(err)
	}
	spec := api.DeploymentSpec{Model: "tiny", Replicas: 1, Options: api.EngineOptions{Context: 512}}
	if _, err := f.client.Deploy(t.Context(), "tiny", spec); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options api.EngineOptions
		want    string
	}{
		{api.EngineOptions{Context: 99999}, "body.options.context: 99999, must be at most 1024, the longest the model was made for"},
		{api.EngineOptions{MaxRunning: 1025}, "body.options.max_running"},
		{api.EngineOptions{KVBytes: 1000}, "body.options.kv_bytes: 1000, must be at least"},
		{api.EngineOptions{Threads: 2}, "body.options.threads: 2, must be at most 1, the cores of the device"},
		{api.EngineOptions{Quant: "fp8"}, `body.options.quant: "fp8", backend cpu has only none`},
		{api.EngineOptions{KVDType: "fp8"}, `body.options.kv_dtype: "fp8", backend cpu has only f16, f32`},
	} {
		spec.Options = c.options
		_, err := f.client.Deploy(t.Context(), "tiny", spec)
		refused(t, err, 422, c.want)
	}
	d, err := f.client.Deployment(t.Context(), "tiny")
	if err != nil || d.Options != (api.EngineOptions{Context: 512}) {
		t.Errorf("after refusals it is %+v, %v", d, err)
	}
}
