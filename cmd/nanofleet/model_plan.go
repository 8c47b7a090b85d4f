package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/agent/probe"
	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/inspect"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/internal/words"
)

// planFlags are the device and the load to plan for.
type planFlags struct {
	from        sourceFlags
	gpu         string
	memory      string
	cpu         bool
	context     string
	concurrency uint32
	step        uint32
	quant       string
	kvDType     string
	output      string
}

func modelPlan(o *options) *cobra.Command {
	var p planFlags
	cmd := &cobra.Command{
		Use:   "plan SOURCE|NAME[@VERSION]",
		Short: "Say what a model needs on a device, before anything is loaded",
		Long: `Say what a replica of a model takes on a device: weights, KV, activations and
workspace, to the byte that its engine reports once it is ready; whether that fits, how
many sequences would, and how long they could be. SOURCE needs no fleet, and of a model
that lies elsewhere the headers alone are read.

GPUs: ` + cardNames() + `.`,
		Example: `  nanofleet model plan qwen3-8b --gpu h100 --context 32k --concurrency 64
  nanofleet model plan hf:Qwen/Qwen3-8B --gpu rtx4090 --context 8k
  nanofleet model plan model.gguf --cpu --memory 32GiB -o json`,
		Args: exactly(1, "a source or a model's name"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.takeOutput(p.output); err != nil {
				return err
			}
			spec, err := p.spec(c.Flags().Changed("concurrency"))
			if err != nil {
				return err
			}
			plan, err := p.plan(c.Context(), o, args[0], spec)
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), plan, func(w io.Writer) { p.tell(w, args[0], plan) })
		},
	}
	f := cmd.Flags()
	p.from.reach(f)
	f.StringVar(&p.gpu, "gpu", "", "GPU to plan for, by name")
	f.StringVar(&p.memory, "memory", "", "memory of the device, as in 24GiB, instead of a GPU's name")
	f.BoolVar(&p.cpu, "cpu", false, "plan for the cpu backend, with the host's --memory (default: this host's)")
	f.StringVar(&p.context, "context", "", "longest sequence in tokens, as in 32k (default: the model's own)")
	f.Uint32Var(&p.concurrency, "concurrency", 1, "sequences of that length at once")
	f.Uint32Var(&p.step, "step-tokens", 0, "token budget of one step (default: the backend's)")
	f.StringVar(&p.quant, "quant", "", quantUsage)
	f.StringVar(&p.kvDType, "kv-dtype", "", kvDTypeUsage)
	outputFlag(f, &p.output)
	completePrecision(cmd)
	return cmd
}

// spec turns flags into what is asked of the planner.
func (p *planFlags) spec(asked bool) (api.PlanSpec, error) {
	spec := api.PlanSpec{Backend: "cuda", Concurrency: p.concurrency, StepTokens: p.step, Quant: p.quant, KVDType: p.kvDType}
	if p.cpu {
		spec.Backend = "cpu"
	}
	if _, _, err := model.Precision(spec.Backend, p.quant, p.kvDType); err != nil {
		return spec, usageError{err}
	}
	if asked && p.concurrency == 0 {
		return spec, usagef("--concurrency 0: want 1 to 1024")
	}
	if p.context != "" {
		var err error
		if spec.Context, err = parseTokens("--context", p.context); err != nil {
			return spec, err
		}
	}
	return spec, p.device(&spec)
}

// device finds memory and speed of what is planned for.
func (p *planFlags) device(spec *api.PlanSpec) (err error) {
	var total uint64
	switch {
	case p.cpu && p.gpu != "":
		return usagef("--cpu and --gpu exclude each other")
	case p.gpu != "" && p.memory != "":
		return usagef("--gpu and --memory exclude each other")
	case p.gpu != "":
		c, ok := cards[p.gpu]
		if !ok {
			return usagef("--gpu %q: want one of %s, or say its --memory", p.gpu, cardNames())
		}
		total, spec.Bandwidth = c.memory(), c.speed*1e9
	case p.memory != "":
		if total, err = parseBytes("--memory", p.memory); err != nil {
			return err
		}
	case p.cpu:
		devices, err := probe.NewCPU("/").Devices()
		if err != nil {
			return err
		}
		spec.Memory = devices[0].GetMemoryTotal() // which is a share already
		return nil
	default:
		return usagef("say what to plan for: --gpu NAME, --memory SIZE or --cpu")
	}
	spec.Memory, err = probe.Usable(spec.Backend, total)
	return err
}

func (p *planFlags) plan(ctx context.Context, o *options, ref string, spec api.PlanSpec) (api.Plan, error) {
	if name, version, ok := inFleet(ref); ok {
		client, err := o.client()
		if err != nil {
			return api.Plan{}, err
		}
		plan, err := client.PlanModel(ctx, name, version, spec)
		return plan, orNearest(ctx, client, err, name, modelNames, "a path wants a / in it")
	}
	path, _, done, err := p.from.look(ctx, ref)
	defer done()
	if err != nil {
		return api.Plan{}, err
	}
	meta, err := model.LoadMeta(path)
	if err != nil {
		return api.Plan{}, fmt.Errorf("%s cannot be served: %w; `%s model inspect %s` shows what it is", ref, err, os.Args[0], ref)
	}
	return inspect.Plan(meta, spec)
}

// tell prints a plan for people.
func (p *planFlags) tell(w io.Writer, ref string, plan api.Plan) {
	f := plan.Footprint
	for _, r := range []struct {
		what  string
		bytes uint64
	}{{"weights", f.Weights}, {"KV", f.KV}, {"activations", f.Activations}, {"workspace", f.Workspace}, {"total", f.Total}, {"usable", plan.Memory}} {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.what, size(r.bytes), words.Count(r.bytes, "byte"))
	}
	load := fmt.Sprintf("%s of %s", words.Count(plan.Concurrency, "sequence"), words.Count(plan.Context, "token"))
	if plan.Fits {
		fmt.Fprintf(w, "fits\tyes\t%s, %s to spare\n", load, size(plan.Spare))
	} else {
		fmt.Fprintf(w, "fits\tno\t%s, %s are lacking\n", load, size(plan.Lacking))
	}
	fmt.Fprintf(w, "at %s\t%d\t%s at once at most\n", words.Count(plan.Context, "token"), plan.Sequences, words.Form(plan.Sequences, "sequence"))
	fmt.Fprintf(w, "at %s\t%d\ttokens each at most\n", words.Count(plan.Concurrency, "sequence"), plan.LargestContext)
	if b := plan.Bound; b != nil {
		fmt.Fprintf(w, "memory bound\t%.0f tok/s\tone short sequence; %.0f tok/s all of them at full length\n", b.One, b.All)
	}
	if name, version, ok := inFleet(ref); ok && plan.Fits {
		deploy := fmt.Sprintf("%s deploy %s --backend %s --context %d --max-running %d --kv-bytes %d", os.Args[0], name, plan.Backend, plan.Context, plan.Concurrency, plan.Options.KVBytes)
		for _, f := range [][2]string{{"--quant", plan.Options.Quant}, {"--kv-dtype", plan.Options.KVDType}, {"--version", version}} {
			if f[1] != "" {
				deploy += " " + f[0] + " " + f[1]
			}
		}
		fmt.Fprintf(w, "deploy so\t%s\n", deploy)
	}
}
