package gateway

import (
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// Bounds of what a request may ask for.
const (
	maxChoices     = 128
	maxPrompts     = 128
	maxSequences   = 128 // prompts times choices
	maxStops       = 16
	maxStopBytes   = 256
	maxStopTokens  = 64
	maxBiases      = 1024
	maxTopLogprobs = 20
	maxModelBytes  = 256
	maxSaltBytes   = 256
	maxNameBytes   = 512 // user and other names that are taken and not used
	maxTokensBound = 1 << 30
	maxTimeout     = 24 * time.Hour
)

// options are the fields that the endpoints share.
type options struct {
	model       string
	requestID   string // "": as the header says
	sampling    *wire.Sampling
	seed        *uint64
	maxTokens   int    // 0: up to the context's end
	scoring     bool   // no token at all is wanted, only what is known of the prompt
	zeroField   string // says so
	minTokens   int
	choices     int // per prompt
	candidates  int // sequences per prompt, of which the best become its choices
	stop        []string
	stopTokens  []int32
	ignoreEOS   bool
	includeStop bool
	keepSpecial bool
	truncate    int // keep so many tokens at the prompt's end; 0: all; -1: what the context holds
	priority    int32
	salt        string
	timeout     time.Duration // 0: none

	promptTop *uint32 // the prompt's logprobs, with so many alternatives; nil: none
	askTop    *uint32 // the same, where they are shown anywhere
	showIDs   bool    // tokens in numbers beside their text
	nameByID  bool    // "token_id:5" where a token's text would stand

	stream    bool
	withUsage bool // in a chunk of its own at the stream's end
	usageEach bool // in every chunk
}

// parseOptions reads what chat and completions share.
func (o object) parseOptions() (*options, error) {
	if err := o.checkCase(knownFields); err != nil {
		return nil, err
	}
	p := &options{sampling: &wire.Sampling{}}
	for _, parse := range []func(*options) error{
		o.parseModel, o.checkServed, o.parseSampling, o.parsePenalties, o.parseBias, o.parseLengths, o.parseChoices,
		o.parseStops, o.parseStopTokens, o.parseSwitches, o.parseTruncation, o.parsePromptLogprobs, o.parseStream,
		o.parseService, o.parseHarmless,
	} {
		if err := parse(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// parseFewOptions reads what the endpoints share that generate nothing.
func (o object) parseFewOptions(known map[string]bool) (*options, error) {
	if err := o.checkCase(known); err != nil {
		return nil, err
	}
	p := &options{choices: 1, candidates: 1}
	for _, parse := range []func(*options) error{o.parseModel, o.parseTruncation, o.parseService, o.parseHarmless} {
		if err := parse(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (o object) parseModel(p *options) (err error) {
	if p.model, err = o.short("model", maxModelBytes); err != nil {
		return err
	}
	if p.model == "" {
		return missing("model", "you must provide a model.")
	}
	return nil
}

// parseTruncation reads truncate_prompt_tokens.
func (o object) parseTruncation(p *options) error {
	n, err := o.integer("truncate_prompt_tokens", -1, maxTokensBound)
	if err != nil || n == nil {
		return err
	}
	if *n == 0 {
		return bad("truncate_prompt_tokens", "0 tokens of the prompt would be left. Expected -1 (what the context holds) or a value from 1 to %d.", maxTokensBound)
	}
	p.truncate = int(*n)
	return nil
}

// parsePromptLogprobs reads prompt_logprobs, a number.
func (o object) parsePromptLogprobs(p *options) error {
	n, err := o.integer("prompt_logprobs", 0, maxTopLogprobs)
	if err != nil || n == nil {
		return err
	}
	top := uint32(*n)
	p.promptTop, p.askTop = &top, &top
	return nil
}
