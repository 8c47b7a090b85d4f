package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Load describes the requests to send.
type Load struct {
	Model        string
	Requests     int
	Concurrency  int     // most requests in flight
	Rate         float64 // arrivals per second; 0 = as fast as Concurrency allows
	PromptTokens int     // about: one common English word is one token
	OutputTokens int
	SharedPrefix float64 // share of the prompt, from its start, equal in all requests
	Temperature  float64
	Seed         uint64
}

// Validate names the first field out of bounds.
func (l Load) Validate() error {
	switch {
	case l.Model == "":
		return fmt.Errorf("model: empty, must name a served model")
	case l.Requests < 1 || l.Requests > 1_000_000:
		return fmt.Errorf("requests: %d, must be 1 to 1000000", l.Requests)
	case l.Concurrency < 1 || l.Concurrency > 10_000:
		return fmt.Errorf("concurrency: %d, must be 1 to 10000", l.Concurrency)
	case l.Rate < 0 || l.Rate > 1e6:
		return fmt.Errorf("rate: %g, must be 0 to 1000000 requests per second", l.Rate)
	case l.PromptTokens < 1 || l.PromptTokens > 10_000_000:
		return fmt.Errorf("prompt-tokens: %d, must be 1 to 10000000", l.PromptTokens)
	case l.OutputTokens < 1 || l.OutputTokens > 1_000_000:
		return fmt.Errorf("output-tokens: %d, must be 1 to 1000000", l.OutputTokens)
	case !(l.SharedPrefix >= 0 && l.SharedPrefix <= 1):
		return fmt.Errorf("shared-prefix: %g, must be 0 to 1", l.SharedPrefix)
	case !(l.Temperature >= 0 && l.Temperature <= 2):
		return fmt.Errorf("temperature: %g, must be 0 to 2", l.Temperature)
	}
	return nil
}

// vocabulary is words frequent enough to be one token in every common vocabulary.
var vocabulary = strings.Fields(`the of and to in is that for it as was with be by on not he his but at are this
have from or had an they which one you were all her she there would their we him been has when who will no
more if out so up said what its about than into them can only other time new some could these two may first
then do any like my now over such our man me even most made after also well back through years way down day
little great people world life long house water work part place right small old good`)

// prompts makes the Requests prompts of the load.
func (l Load) prompts() []string {
	shared := int(float64(l.PromptTokens) * l.SharedPrefix)
	prefix := sentence(rand.New(rand.NewPCG(l.Seed, 0)), shared)
	out := make([]string, l.Requests)
	for i := range out {
		rng := rand.New(rand.NewPCG(l.Seed, uint64(i)+1))
		out[i] = strings.TrimSpace(prefix + " " + sentence(rng, l.PromptTokens-shared))
	}
	return out
}

func sentence(rng *rand.Rand, n int) string {
	picked := make([]string, n)
	for i := range picked {
		picked[i] = vocabulary[rng.IntN(len(vocabulary))]
	}
	return strings.Join(picked, " ")
}

// arrivals gives when each request is sent, from the start: exponential gaps at
// Rate, or all at once.
func (l Load) arrivals() []time.Duration {
	out := make([]time.Duration, l.Requests)
	if l.Rate == 0 {
		return out
	}
	rng := rand.New(rand.NewPCG(l.Seed, 1<<63))
	var at float64
	for i := range out {
		out[i] = time.Duration(at * float64(time.Second))
		at += rng.ExpFloat64() / l.Rate
	}
	return out
}
