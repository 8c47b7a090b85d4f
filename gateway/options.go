package gateway

import (
	"math"
	"strconv"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/wire"
)

// Bounds of what a request may ask for.
const (
	maxChoices     = 16
	maxPrompts     = 64
	maxSequences   = 128 // prompts times choices
	maxStops       = 16
	maxStopBytes   = 256
	maxStopTokens  = 64
	maxBiases      = 1024
	maxTopLogprobs = 20
	maxModelBytes  = 256
	maxSaltBytes   = 256
	maxTokensBound = 1 << 30
)

// options are the fields that both endpoints share.
type options struct {
	model       string
	sampling    *wire.Sampling
	seed        *uint64
	maxTokens   int // 0: up to the context's end
	minTokens   int
	choices     int // per prompt
	stop        []string
	stopTokens  []int32
	ignoreEOS   bool
	includeStop bool
	keepSpecial bool
	priority    int32
	salt        string
	stream      bool
	withUsage   bool // in a chunk of its own at the stream's end
	usageEach   bool // in every chunk
}

// parseOptions reads what both endpoints share.
func (o object) parseOptions() (*options, error) {
	if err := o.checkCase(knownFields); err != nil {
		return nil, err
	}
	p := &options{sampling: &wire.Sampling{}}
	for _, parse := range []func(*options) error{
		o.parseModel, o.checkServedInto, o.parseSampling, o.parsePenalties, o.parseBias, o.parseLengths,
		o.parseStops, o.parseStopTokens, o.parseSwitches, o.parseStream, o.parseSeed,
	} {
		if err := parse(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (o object) checkServedInto(*options) error { return o.checkServed() }

func (o object) parseModel(p *options) (err error) {
	if p.model, err = o.text("model"); err != nil {
		return err
	}
	if p.model == "" {
		e := bad("model", "you must provide a model.")
		e.Code = "missing_required_parameter"
		return e
	}
	if len(p.model) > maxModelBytes {
		return bad("model", "name of %d bytes. Expected at most %d.", len(p.model), maxModelBytes)
	}
	return nil
}

func (o object) parseSampling(p *options) (err error) {
	s := p.sampling
	if s.Temperature, err = o.number("temperature", bounds{low: 0, high: 2}); err != nil {
		return err
	}
	if s.TopP, err = o.number("top_p", bounds{low: 0, high: 1, open: true}); err != nil {
		return err
	}
	if s.Repetition, err = o.number("repetition_penalty", bounds{low: 0, high: 10, open: true}); err != nil {
		return err
	}
	minP, err := o.number("min_p", bounds{low: 0, high: 1})
	if err != nil {
		return err
	}
	if minP != nil {
		s.MinP = *minP
	}
	topK, err := o.integer("top_k", -1, math.MaxInt32)
	if err != nil {
		return err
	}
	if topK != nil && *topK > 0 {
		s.TopK = uint32(*topK)
	}
	return nil
}

func (o object) parsePenalties(p *options) error {
	presence, err := o.number("presence_penalty", bounds{low: -2, high: 2})
	if err != nil {
		return err
	}
	if presence != nil {
		p.sampling.Presence = *presence
	}
	frequency, err := o.number("frequency_penalty", bounds{low: -2, high: 2})
	if frequency != nil {
		p.sampling.Frequency = *frequency
	}
	return err
}

// parseBias reads logit_bias: an object of token ids and biases.
func (o object) parseBias(p *options) error {
	biases, err := o.object("logit_bias")
	if err != nil || biases == nil {
		return err
	}
	if n := biases.dict.Len(); n > maxBiases {
		return bad("logit_bias", "%d entries. Expected at most %d.", n, maxBiases)
	}
	for i := range biases.dict.Len() {
		key := biases.dict.Key(i).(jinja.String).String()
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return bad("logit_bias", "the key '%s' is not a token id.", key)
		}
		bias, err := biases.number(key, bounds{low: -100, high: 100})
		if err != nil {
			return err
		}
		if bias != nil {
			p.sampling.Biases = append(p.sampling.Biases, &wire.Bias{Token: int32(id), Bias: *bias})
		}
	}
	return nil
}

func (o object) parseLengths(p *options) error {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		n, err := o.integer(name, 1, maxTokensBound)
		if err != nil {
			return err
		}
		if n != nil && p.maxTokens == 0 {
			p.maxTokens = int(*n)
		}
	}
	least, err := o.integer("min_tokens", 0, maxTokensBound)
	if err != nil {
		return err
	}
	if least != nil {
		p.minTokens = int(*least)
	}
	if p.maxTokens > 0 && p.minTokens > p.maxTokens {
		return bad("min_tokens", "%d is more than the %d tokens the answer may have.", p.minTokens, p.maxTokens)
	}
	choices, err := o.integer("n", 1, maxChoices)
	if err != nil {
		return err
	}
	p.choices = 1
	if choices != nil {
		p.choices = int(*choices)
	}
	return nil
}

// parseStops reads stop: a string or an array of strings.
func (o object) parseStops(p *options) error {
	items := []jinja.Value{}
	switch v := o.get("stop").(type) {
	case nil:
	case jinja.String:
		items = append(items, v)
	case *jinja.List:
		items = v.Items()
	default:
		return o.wrongType("stop", "a string or an array of strings")
	}
	if len(items) > maxStops {
		return bad("stop", "%d strings. Expected at most %d.", len(items), maxStops)
	}
	for _, item := range items {
		s, ok := item.(jinja.String)
		if !ok {
			return o.wrongType("stop", "a string or an array of strings")
		}
		if n := len(s.String()); n == 0 || n > maxStopBytes {
			return bad("stop", "a string of %d bytes. Expected 1 to %d.", n, maxStopBytes)
		}
		p.stop = append(p.stop, s.String())
	}
	return nil
}

func (o object) parseStopTokens(p *options) error {
	items, err := o.list("stop_token_ids")
	if err != nil {
		return err
	}
	if len(items) > maxStopTokens {
		return bad("stop_token_ids", "%d ids. Expected at most %d.", len(items), maxStopTokens)
	}
	p.stopTokens, err = tokenIDs("stop_token_ids", items)
	return err
}

// tokenIDs reads an array of token ids.
func tokenIDs(param string, items []jinja.Value) ([]int32, error) {
	var ids []int32
	for i, item := range items {
		id, ok := integerOf(item)
		if !ok || id < 0 || id > math.MaxInt32 {
			return nil, bad(param, "item %d is not a token id.", i)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

func (o object) parseSwitches(p *options) (err error) {
	if p.ignoreEOS, err = o.flag("ignore_eos", false); err != nil {
		return err
	}
	if p.includeStop, err = o.flag("include_stop_str_in_output", false); err != nil {
		return err
	}
	skip, err := o.flag("skip_special_tokens", true)
	if err != nil {
		return err
	}
	p.keepSpecial = !skip
	priority, err := o.integer("priority", math.MinInt32, math.MaxInt32)
	if err != nil {
		return err
	}
	if priority != nil {
		p.priority = int32(*priority)
	}
	if p.salt, err = o.text("cache_salt"); err == nil && len(p.salt) > maxSaltBytes {
		return bad("cache_salt", "%d bytes. Expected at most %d.", len(p.salt), maxSaltBytes)
	}
	return err
}

func (o object) parseStream(p *options) (err error) {
	if p.stream, err = o.flag("stream", false); err != nil {
		return err
	}
	more, err := o.object("stream_options")
	if err != nil || more == nil {
		return err
	}
	if !p.stream {
		return bad("stream_options", "only allowed when 'stream' is true.")
	}
	if p.withUsage, err = more.flag("include_usage", false); err != nil {
		return err
	}
	p.usageEach, err = more.flag("continuous_usage_stats", false)
	return err
}

func (o object) parseSeed(p *options) error {
	seed, err := o.integer("seed", math.MinInt64, math.MaxInt64)
	if err != nil || seed == nil {
		return err
	}
	s := uint64(*seed)
	p.seed = &s
	return nil
}
