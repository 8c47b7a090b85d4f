package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/engine/eval"
	"github.com/nanofleet/nanofleet/engine/local"
	"github.com/nanofleet/nanofleet/engine/model"
)

// evalFlags say what is evaluated and how.
type evalFlags struct {
	text      string
	backend   string
	quant     string
	kvDType   string
	context   string
	threads   uint32
	invariant bool
	window    int // tokens; 0 = the default
}

// evaluation is what eval prints.
type evaluation struct {
	Model    string `json:"model"`
	Text     string `json:"text"`
	Backend  string `json:"backend,omitempty"`
	Device   string `json:"device,omitempty"`
	Numerics string `json:"numerics_id,omitempty"`
	eval.Perplexity
	Seconds float64 `json:"seconds"`
}

func evalCommand(o *options) *cobra.Command {
	var e evalFlags
	cmd := &cobra.Command{
		Use:   "eval MODEL|PATH --text FILE",
		Short: "Measure how well a model foretells a text: its perplexity",
		Long: `Measure how well a model foretells a text: perplexity and bits per byte. Numbers of
one model in different precision tell what the precision costs; those of models with
different tokenizers compare by bits per byte.

PATH is a GGUF file or a model's directory, which an engine in this process loads;
MODEL is the name of a deployment, asked through its API. The text goes in by windows of
--context tokens that overlap by half; each token is scored once, in the first window
that holds it.`,
		Example: `  nanofleet eval model.gguf --text book.txt
  nanofleet eval path/to/qwen3-8b --text book.txt --quant fp8 --kv-dtype fp8
  nanofleet eval my-llama --text book.txt -o json`,
		Args: exactly(1, "a deployment's name, a GGUF file or a model's directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need(c, "text"); err != nil {
				return err
			}
			out, err := e.run(c.Context(), o, args[0])
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), out, out.tell)
		},
		ValidArgsFunction: completeFirst(o, deploymentNames),
	}
	f := cmd.Flags()
	f.StringVar(&e.text, "text", "", "file of UTF-8 text to foretell (required)")
	f.StringVar(&e.backend, "backend", "", "cpu, cuda or ref (default: cuda where there is a GPU, else cpu)")
	f.StringVar(&e.quant, "quant", "", quantUsage)
	f.StringVar(&e.kvDType, "kv-dtype", "", kvDTypeUsage)
	f.StringVar(&e.context, "context", "", "tokens in a window (default: 2048, or what the model can)")
	f.Uint32Var(&e.threads, "threads", 0, "compute threads of the cpu backend (default: one per core)")
	f.BoolVar(&e.invariant, "invariant", false, "demand bits that never depend on the batch")
	completeValues(cmd, "backend", "cpu", "cuda", "ref")
	completePrecision(cmd)
	return cmd
}

// run reads the text and has it scored where the model is.
func (e *evalFlags) run(ctx context.Context, o *options, ref string) (*evaluation, error) {
	text, err := os.ReadFile(e.text)
	if err != nil {
		return nil, usagef("--text: %w", err)
	}
	if !utf8.Valid(text) {
		return nil, usagef("--text %s: it is not UTF-8", e.text)
	}
	if e.context != "" {
		n, err := parseTokens("--context", e.context)
		if err != nil {
			return nil, err
		}
		e.window = int(n)
	}
	out := &evaluation{Model: ref, Text: e.text}
	if name, version, ok := inFleet(ref); ok {
		if version != "" || e.backend != "" || e.quant != "" || e.kvDType != "" || e.threads != 0 || e.invariant {
			return nil, usagef("%s is a deployment, which has its own version, backend and precision: change them with `nanofleet deploy`, or name files", name)
		}
		return out, e.inFleet(ctx, o, out, string(text))
	}
	return out, e.inProcess(ctx, out, string(text))
}

// evalWindow is the default; a window leaves room for the one token that a request makes.
const evalWindow = 2048

// size gives the window for sequences of at most so many tokens.
func (e *evalFlags) size(context uint32) (int, error) {
	most := int(context) - 1
	if e.window == 0 {
		return min(evalWindow, most), nil
	}
	if e.window > most {
		return 0, usagef("--context %d: want at most %d, one less than the longest sequence", e.window, most)
	}
	return e.window, nil
}

// evalAtOnce are the windows that an engine computes together.
const evalAtOnce = 4

func (e *evalFlags) inProcess(ctx context.Context, out *evaluation, text string) error {
	began := time.Now()
	meta, err := model.LoadMeta(out.Model)
	if err != nil {
		return err
	}
	window, err := e.size(meta.Context)
	if err != nil {
		return err
	}
	i, err := local.Open(local.Config{
		Path: out.Model, Backends: backends(), Backend: e.backend, Quant: e.quant, KVDType: e.kvDType,
		Options: model.Options{Context: uint32(window) + 1, MaxRunning: evalAtOnce, Threads: e.threads, Invariant: e.invariant}, Queue: evalAtOnce,
	})
	if err != nil {
		return err
	}
	defer i.Close() // what was lost was told by the measure
	out.Backend, out.Device, out.Numerics = i.Backend, i.Device.Name, i.Numerics
	out.Perplexity, err = eval.Measure(ctx, eval.Engine{Engine: i.Engine}, eval.Tokenise(i.Meta.Tokenizer, text), window, evalAtOnce, evalProgress())
	out.Seconds = time.Since(began).Seconds()
	return err
}

// fleetScorer asks a deployment.
type fleetScorer struct {
	client *api.Client
	model  string
}

func (s fleetScorer) Score(ctx context.Context, ids []int32) ([]float32, error) {
	return s.client.PromptLogprobs(ctx, s.model, ids)
}

func (e *evalFlags) inFleet(ctx context.Context, o *options, out *evaluation, text string) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	d, context, err := deployedContext(ctx, client, out.Model)
	if err != nil {
		return orNearest(ctx, client, err, out.Model, deploymentNames, "`nanofleet status` lists deployments; a file or directory is named by its path")
	}
	window, err := e.size(context)
	if err != nil {
		return err
	}
	for _, i := range d.Instances {
		if i.State == "ready" {
			out.Device, out.Numerics = i.Node+"/"+i.Device, i.Numerics
		}
	}
	began := time.Now()
	ids, err := client.Tokenise(ctx, out.Model, text)
	if err != nil {
		return err
	}
	tokens := eval.Text{IDs: ids}
	if len(ids) > 1 {
		rest, err := client.Detokenise(ctx, out.Model, ids[1:])
		if err != nil {
			return err
		}
		tokens.Bytes = len(rest)
	}
	out.Perplexity, err = eval.Measure(ctx, fleetScorer{client, out.Model}, tokens, window, evalAtOnce, evalProgress())
	out.Seconds = time.Since(began).Seconds()
	return err
}

// deployedContext is the longest sequence of a deployment.
func deployedContext(ctx context.Context, client *api.Client, name string) (api.Deployment, uint32, error) {
	d, err := client.Deployment(ctx, name)
	if err != nil || d.Options.Context > 0 {
		return d, d.Options.Context, err
	}
	models, err := client.Models(ctx)
	for _, m := range models {
		for _, v := range m.Versions {
			if v.ID == d.Version {
				return d, v.Context, nil
			}
		}
	}
	return d, evalWindow + 1, err
}

// evalProgress says on a terminal how far it is.
func evalProgress() func(windows, of int) {
	screen := newScreen(os.Stderr)
	if screen.tty == nil {
		return nil
	}
	return func(windows, of int) {
		_ = screen.show(fmt.Sprintf("window %d of %d", windows, of)) // only to be looked at
	}
}

// tell prints an evaluation for people.
func (e *evaluation) tell(w io.Writer) {
	fmt.Fprintf(w, "perplexity\t%.4f\n", e.Perplexity.Perplexity)
	fmt.Fprintf(w, "bits per byte\t%.4f\n", e.BitsPerByte)
	fmt.Fprintf(w, "tokens\t%d\tin %d windows of %d\n", e.Tokens, e.Windows, e.Window)
	if e.Device != "" {
		fmt.Fprintf(w, "device\t%s\n", e.Device)
	}
	fmt.Fprintf(w, "numerics\t%s\n", dash(e.Numerics))
	fmt.Fprintf(w, "took\t%.1f s\n", e.Seconds)
}
