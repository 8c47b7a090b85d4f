package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/api/bench"
	enginebench "github.com/nanofleet/nanofleet/engine/bench"
)

func benchCommand(o *options) *cobra.Command {
	var load bench.Load
	var endpoint string
	var own engineBench
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure an OpenAI-compatible endpoint, or an engine alone",
		Long: `Measure any OpenAI-compatible endpoint under load: time to first token,
inter-token latency and tokens per second, as percentiles. Without --endpoint it
measures this fleet.

With --engine it measures an engine in this process instead, with random weights in a
model's true shape or with a model's own: tokens per second with their spread over runs,
time to the first token, and the share of what reading memory allows.`,
		Example: `  nanofleet bench --concurrency 8 --requests 64
  nanofleet bench --endpoint http://localhost:8000 --model qwen3-8b --rate 4 --shared-prefix 0.5
  nanofleet bench --engine --shape qwen3-8b --workload nano-vllm --quant fp8 --kv-dtype fp8
  nanofleet bench --engine --shape qwen3-8b --batch 32 --input 512 --output 128`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := own.check(c); err != nil {
				return err
			}
			if own.on {
				r, err := own.run(c.Context())
				if err != nil {
					return err
				}
				return o.print(c.OutOrStdout(), r, r.tell)
			}
			client, err := benchClient(o, endpoint)
			if err != nil {
				return err
			}
			if load.Model == "" {
				if load.Model, err = pickModel(c.Context(), client, nil); err != nil {
					return err
				}
			}
			if err := load.Validate(); err != nil {
				return usageError{err}
			}
			if err := benchable(c.Context(), client, load.Model); err != nil {
				return err
			}
			r, err := bench.Run(c.Context(), client, load, benchBar(load.Requests))
			if err != nil {
				return err
			}
			if r.Failed == r.Requests && !o.json {
				return fmt.Errorf("no request of %d was answered, the first with: %s", r.Failed, r.FirstError)
			}
			if err := o.print(c.OutOrStdout(), r, func(w io.Writer) { _ = r.WriteTable(w) }); err != nil {
				return err
			}
			if r.Failed == r.Requests {
				return fmt.Errorf("no request of %d was answered", r.Failed)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&endpoint, "endpoint", "", "base URL of another server, as in http://host:8000 (key: NANOFLEET_API_KEY)")
	f.StringVar(&load.Model, "model", "", "model to ask for (default: the only one served)")
	f.IntVar(&load.Requests, "requests", 32, "requests to send")
	f.IntVar(&load.Concurrency, "concurrency", 4, "most requests in flight")
	f.Float64Var(&load.Rate, "rate", 0, "arrivals per second, Poisson (default: as fast as concurrency allows)")
	f.IntVar(&load.PromptTokens, "prompt-tokens", 128, "about this many tokens in each prompt")
	f.IntVar(&load.OutputTokens, "output-tokens", 64, "tokens to generate for each")
	f.Float64Var(&load.SharedPrefix, "shared-prefix", 0, "share of the prompt that all requests have in common, 0 to 1")
	f.Float64Var(&load.Temperature, "temperature", 0, "sampling temperature")
	f.Uint64Var(&load.Seed, "seed", 1, "of prompts and arrivals")
	own.flags(f)
	completeValues(cmd, "backend", "cpu", "cuda", "ref")
	completeValues(cmd, "workload", string(enginebench.NanoVLLM), string(enginebench.Decode), string(enginebench.Prefill))
	completePrecision(cmd)
	completeFlag(o, cmd, "model", servedNames)
	return cmd
}

// benchable refuses a model that an endpoint which lists its models does not have.
func benchable(ctx context.Context, client *api.Client, model string) error {
	names, err := client.ServedModels(ctx)
	if err != nil {
		return nil // some endpoints have no list; the requests will tell
	}
	return oneOf("model", model, names, "`nanofleet status` lists what this fleet serves")
}

func benchClient(o *options, endpoint string) (*api.Client, error) {
	if endpoint == "" {
		return o.client()
	}
	// Servers are often named by the base URL their SDKs take.
	base, err := checkServer(strings.TrimSuffix(strings.TrimRight(withScheme(endpoint), "/"), "/v1"))
	if err != nil {
		return nil, err
	}
	rt, err := o.transport(base)
	if err != nil {
		return nil, err
	}
	return api.NewClient(base, os.Getenv("NANOFLEET_API_KEY"), rt), nil
}

func benchBar(total int) func(int) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription("requests"), progressbar.OptionClearOnFinish())
	return func(done int) {
		if err := bar.Set(done); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
