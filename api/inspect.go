package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Inspection is what a model's files say, read from their headers alone.
type Inspection struct {
	Name         string `json:"name" doc:"what the files call the model"`
	Format       string `json:"format"`
	Architecture string `json:"architecture"`
	Problem      string `json:"problem,omitempty" doc:"why it cannot be served; absent when it can"`
	Parameters   uint64 `json:"parameters"`
	Context      uint32 `json:"context" doc:"longest sequence in tokens"`
	Size         uint64 `json:"size" doc:"bytes of all files"`
	Shape        *Shape `json:"shape,omitempty"`
	Licence      string `json:"licence,omitempty"`
	Origin       Origin `json:"origin,omitzero"`

	Quantisation []TypeShare       `json:"quantisation" doc:"tensors by element type, most bytes first"`
	Tokenizer    *TokenizerInfo    `json:"tokenizer,omitempty"`
	Template     string            `json:"template,omitempty" doc:"chat template"`
	Templates    []string          `json:"templates,omitempty" doc:"names of other chat templates, which a request may choose"`
	Pooling      string            `json:"pooling,omitempty" doc:"how the files want texts to become vectors"`
	Files        []FileSize        `json:"files"`
	Metadata     map[string]string `json:"metadata"`
	Tensors      []TensorInfo      `json:"tensors,omitempty"`
}

// Shape of a decoder.
type Shape struct {
	Layers     uint32  `json:"layers"`
	Hidden     uint32  `json:"hidden"`
	FFN        uint32  `json:"ffn"`
	Heads      uint32  `json:"heads"`
	KVHeads    uint32  `json:"kv_heads"`
	HeadDim    uint32  `json:"head_dim"`
	Vocab      uint32  `json:"vocab"`
	RopeTheta  float64 `json:"rope_theta"`
	RopeScale  string  `json:"rope_scaling,omitempty"`
	Window     uint32  `json:"window,omitempty" doc:"the narrowest sliding window, in tokens; absent where every layer sees all"`
	Tied       bool    `json:"tied" doc:"the head shares the embedding's weight"`
	KVPerToken uint64  `json:"kv_bytes_per_token" doc:"with elements of 16 bits"`
}

// TypeShare is how much of a model has one element type.
type TypeShare struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Parameters uint64 `json:"parameters"`
	Bytes      uint64 `json:"bytes"`
}

// TokenizerInfo describes a tokenizer.
type TokenizerInfo struct {
	Kind     string   `json:"kind" doc:"as the files name it"`
	Splitter string   `json:"splitter,omitempty" doc:"pre-tokeniser, as the files name it"`
	Vocab    int      `json:"vocab"`
	BOS      string   `json:"bos,omitempty"`
	EOS      []string `json:"eos" doc:"tokens that end a text"`
}

// FileSize is one file of a model.
type FileSize struct {
	Path string `json:"path"`
	Size uint64 `json:"size" doc:"bytes"`
}

// TensorInfo is one tensor as its file's header describes it.
type TensorInfo struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Shape []uint64 `json:"shape" doc:"the contiguous dimension last"`
	Bytes uint64   `json:"bytes"`
}

// PlanSpec asks what a model needs on a device.
type PlanSpec struct {
	Backend     string `json:"backend" enum:"cpu,cuda"`
	Memory      uint64 `json:"memory" doc:"bytes that engines may use of the device"`
	Bandwidth   uint64 `json:"bandwidth,omitempty" doc:"bytes per second that the device reads; absent: no bound on speed is computed"`
	Context     uint32 `json:"context,omitempty" doc:"longest sequence in tokens; absent: the model's own"`
	Concurrency uint32 `json:"concurrency,omitempty" doc:"sequences of that length at once; absent: 1" maximum:"1024"`
	StepTokens  uint32 `json:"step_tokens,omitempty" doc:"token budget of one step; absent: the backend's default" maximum:"65536"`
	Quant       string `json:"quant,omitempty" doc:"how weights are quantised as they are loaded" enum:"none,fp8,int4"`
	KVDType     string `json:"kv_dtype,omitempty" doc:"element type of the KV; absent: the backend's own" enum:"bf16,fp8,f16,f32"`
}

// Plan is what a model needs on a device, to the byte that an engine reports once it
// is ready.
type Plan struct {
	Backend        string        `json:"backend"`
	Memory         uint64        `json:"memory" doc:"bytes that engines may use of the device"`
	Context        uint32        `json:"context"`
	Concurrency    uint32        `json:"concurrency"`
	Footprint      Footprint     `json:"footprint"`
	Fits           bool          `json:"fits"`
	Spare          uint64        `json:"spare" doc:"bytes left when it fits"`
	Lacking        uint64        `json:"lacking" doc:"bytes missing when it does not"`
	KVPerToken     uint64        `json:"kv_bytes_per_token"`
	Sequences      uint32        `json:"sequences" doc:"most sequences of that context at once, up to 1024"`
	LargestContext uint32        `json:"largest_context" doc:"longest sequences at that concurrency; 0 when none fit"`
	Options        EngineOptions `json:"options" doc:"with which a deployment takes exactly this"`
	Bound          *SpeedBound   `json:"bound,omitempty"`
}

// SpeedBound is how fast decoding could be if memory were read at its full speed and
// all else took no time.
type SpeedBound struct {
	One float64 `json:"one" doc:"tokens per second of one short sequence"`
	All float64 `json:"all" doc:"tokens per second of all sequences together, each at its full length"`
}

// Inspect tells what the files of a version say; version "" is the newest. The list of
// tensors is long, and given on demand.
func (c *Client) Inspect(ctx context.Context, model, version string, tensors bool) (Inspection, error) {
	return call[Inspection](ctx, c, http.MethodGet, versionPath(model, version)+"/inspection?tensors="+strconv.FormatBool(tensors), nil)
}

// PlanModel tells what a version needs on a device, before anything is loaded.
func (c *Client) PlanModel(ctx context.Context, model, version string, spec PlanSpec) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPost, versionPath(model, version)+"/plan", spec)
}

// versionPath names a version; "newest" stands for the newest.
func versionPath(model, version string) string {
	if version == "" {
		version = "newest"
	}
	return "/api/v1/models/" + url.PathEscape(model) + "/versions/" + url.PathEscape(version)
}
