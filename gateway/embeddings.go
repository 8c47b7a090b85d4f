package gateway

import (
	"github.com/nanofleet/nanofleet/wire"
)

const (
	maxInputs       = 2048 // texts of one request for embeddings
	maxPooledAtOnce = 32   // of those, given to engines at once
	maxDimensions   = 1 << 20
)

// embeddingFields are the known ones of /v1/embeddings.
var embeddingFields = merge(sharedFields, set("input", "encoding_format", "dimensions", "add_special_tokens", "normalize"))

// embeddingOptions are how vectors are shown.
type embeddingOptions struct {
	dims      int   // 0: all
	normalise *bool // to length 1; nil: as the model has it
	inBase64  bool
}

// embeddings answers POST /v1/embeddings.
func (g *Gateway) embeddings(x *exchange) error {
	body, p, err := x.parse(func(o object) (*options, error) { return o.parseFewOptions(embeddingFields) })
	if err != nil {
		return err
	}
	how, err := body.parseEmbedding()
	if err != nil {
		return err
	}
	inputs, err := body.parsePrompts("input", maxInputs)
	if err != nil {
		return err
	}
	m, err := g.resolve(x, p.model)
	if err != nil {
		return err
	}
	if how.dims > m.Width && m.Width > 0 {
		return bad("dimensions", "%d. Expected a value from 1 to %d, the width of '%s'.", how.dims, m.Width, m.Name)
	}
	p.maxTokens, p.sampling = 1, &wire.Sampling{}
	j := &job{options: p, model: m, prompts: inputs.encode(m), pool: m.pooling()}
	j.cutPrompts()
	if err := j.check("input"); err != nil {
		return err
	}
	return j.embed(x, how)
}

// parseEmbedding reads encoding_format and dimensions.
func (o object) parseEmbedding() (how embeddingOptions, err error) {
	format, err := o.text("encoding_format")
	if err != nil {
		return how, err
	}
	if format != "" && format != "float" && format != "base64" {
		return how, bad("encoding_format", "'%s' is no format of ours. Supported values are: 'float' and 'base64'.", clip(format))
	}
	how.inBase64 = format == "base64"
	if o.get("normalize") != nil {
		on, err := o.flag("normalize", true)
		if err != nil {
			return how, err
		}
		how.normalise = &on
	}
	dims, err := o.integer("dimensions", 1, maxDimensions)
	if dims != nil {
		how.dims = int(*dims)
	}
	return how, err
}

// scaled tells whether vectors get length 1.
func (how embeddingOptions) scaled(m *Model) bool {
	if how.normalise == nil {
		return !m.RawVectors
	}
	return *how.normalise
}

// pooling is the model's own, or that of the last token, which has seen all others.
func (m *Model) pooling() wire.Pooling {
	if m.Pooling == wire.Pooling_POOLING_NONE {
		return wire.Pooling_POOLING_LAST
	}
	return m.Pooling
}

// embed runs the job's sequences and answers with their vectors.
func (j *job) embed(x *exchange, how embeddingOptions) error {
	f, end, err := j.begin(x)
	if err != nil {
		return err
	}
	defer end()
	out := &vectors{list: make([][]float32, len(j.prompts))}
	if err := f.pump(out); err != nil {
		return err
	}
	answer := embeddingList{Object: "list", Model: j.model.Name, Data: make([]embedding, len(out.list))}
	for i, v := range out.list {
		if v, err = shorten(v, how.dims); err != nil {
			return err
		}
		if how.scaled(j.model) {
			v = unit(v)
		}
		answer.Data[i] = embedding{Object: "embedding", Index: i, Vector: appendVector(nil, v, how.inBase64)}
	}
	u := j.usage(f.counts)
	answer.Usage = embeddingUsage{Prompt: u.Prompt, Total: u.Prompt}
	return x.answer(answer)
}

// embeddingList is the answer, as OpenAI's API gives it.
type embeddingList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

type embedding struct {
	Object string  `json:"object"`
	Index  int     `json:"index"`
	Vector rawJSON `json:"embedding"`
}

type embeddingUsage struct {
	Prompt int `json:"prompt_tokens"`
	Total  int `json:"total_tokens"`
}
