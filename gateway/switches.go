package gateway

import (
	"math"
	"time"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

func (o object) parseSwitches(p *options) error {
	skip := true
	for _, f := range []struct {
		name string
		into *bool
	}{
		{"ignore_eos", &p.ignoreEOS},
		{"include_stop_str_in_output", &p.includeStop},
		{"skip_special_tokens", &skip},
		{"return_token_ids", &p.showIDs},
		{"return_tokens_as_token_ids", &p.nameByID},
	} {
		v, err := o.flag(f.name, *f.into)
		if err != nil {
			return err
		}
		*f.into = v
	}
	p.keepSpecial = !skip
	return o.parseSeed(p)
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

// parseService reads how a request is to be treated among others.
func (o object) parseService(p *options) error {
	priority, err := o.integer("priority", math.MinInt32, math.MaxInt32)
	if err != nil {
		return err
	}
	if priority != nil {
		p.priority = int32(*priority)
	}
	if p.salt, err = o.short("cache_salt", maxSaltBytes); err != nil {
		return err
	}
	seconds, err := o.number("timeout", bounds{low: 0, high: maxTimeout.Seconds(), open: true})
	if err != nil {
		return err
	}
	if seconds != nil {
		p.timeout = time.Duration(float64(*seconds) * float64(time.Second))
	}
	if p.requestID, err = o.short("request_id", maxIDBytes); err != nil {
		return err
	}
	if p.requestID != "" && !validID(p.requestID) {
		return bad("request_id", "'%s' has characters that do not fit into a header. Expected visible ASCII without quotes and backslashes.", clip(p.requestID))
	}
	return nil
}

// parseHarmless checks fields that are taken as OpenAI takes them and change no
// answer here.
func (o object) parseHarmless(*options) error {
	for _, name := range []string{"user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity"} {
		if _, err := o.short(name, maxNameBytes); err != nil {
			return err
		}
	}
	for _, name := range []string{"store", "parallel_tool_calls", "spaces_between_special_tokens"} {
		if _, err := o.flag(name, false); err != nil {
			return err
		}
	}
	return o.checkMetadata()
}

// Bounds of metadata, OpenAI's.
const (
	maxMetadata      = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
)

func (o object) checkMetadata() error {
	meta, err := o.object("metadata")
	if err != nil || meta == nil {
		return err
	}
	if n := meta.dict.Len(); n > maxMetadata {
		return bad("metadata", "%d entries. Expected at most %d.", n, maxMetadata)
	}
	for i := range meta.dict.Len() {
		key := meta.dict.Key(i).(jinja.String).String()
		if len(key) > maxMetadataKey {
			return bad("metadata", "the key '%s' has %d bytes. Expected at most %d.", clip(key), len(key), maxMetadataKey)
		}
		if _, err := meta.short(key, maxMetadataValue); err != nil {
			return err
		}
	}
	return nil
}
