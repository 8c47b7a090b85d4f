package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/words"
)

// stepLimitMax is the most seconds that the API takes for a step.
const stepLimitMax = 86400 * time.Second

func deployCommand(o *options) *cobra.Command {
	var spec api.DeploymentSpec
	var as string
	var wait, stepLimit time.Duration
	cmd := &cobra.Command{
		Use:   "deploy MODEL",
		Short: "Run replicas of a model, or change how many",
		Long: `Run replicas of a model, or change how many. The deployment's name is what apps ask
for. Deploying it again replaces all of its options: what no flag names takes its default.`,
		Example: `  nanofleet deploy my-llama --wait 5m
  nanofleet deploy my-llama --replicas 3 --context 8192
  nanofleet deploy my-llama --as assistant --version v-581be1bb5a51`,
		Args: exactly(1, "a model's name, see `nanofleet model ls`"),

		ValidArgsFunction: completeFirst(o, modelNames),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("step-limit") && (stepLimit <= 0 || stepLimit > stepLimitMax) {
				return usagef("--step-limit: %v, must be above 0 and at most %v; see `nanofleet deploy --help`", stepLimit, stepLimitMax)
			}
			client, err := o.client()
			if err != nil {
				return err
			}
			spec.Model = args[0]
			spec.Options.StepLimitS = uint32(math.Ceil(stepLimit.Seconds()))
			if as == "" {
				as = spec.Model
			}
			d, err := client.Deploy(c.Context(), as, spec)
			if err != nil {
				return notDeployed(c, client, err, spec)
			}
			if wait > 0 {
				if d, err = waitDeployed(c.Context(), client, as, wait); err != nil {
					return err
				}
			}
			return o.print(c.OutOrStdout(), d, func(w io.Writer) { writeDeployed(w, d) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&spec.Replicas, "replicas", 1, "engines to run")
	f.StringVar(&as, "as", "", "name of the deployment and of the model apps ask for (default: the model's name)")
	f.StringVar(&spec.Version, "version", "", "version id (default: the newest)")
	f.DurationVar(&wait, "wait", 0, "wait up to this long until all replicas are ready")
	f.StringVar(&spec.Options.Backend, "backend", "", "cpu, cuda or ref (default: cuda where there is a GPU, else cpu)")
	f.Var(tokensFlag{&spec.Options.Context}, "context", "longest sequence in tokens, as in 32k (default: the model's own)")
	f.Uint32Var(&spec.Options.MaxRunning, "max-running", 0, "sequences computed at once")
	f.Var(bytesFlag{&spec.Options.KVBytes}, "kv-bytes", "size of the KV pool, as in 24GiB, see `nanofleet model plan` (default: four sequences of full length, within half the memory)")
	f.Uint32Var(&spec.Options.Threads, "threads", 0, "compute threads of the cpu backend (default: one per core)")
	f.DurationVar(&stepLimit, "step-limit", 0, "how long a step may take before its engine counts as hung and is replaced (default: 30s on cuda, else 10m)")
	f.StringVar(&spec.Options.Quant, "quant", "", quantUsage)
	f.StringVar(&spec.Options.KVDType, "kv-dtype", "", kvDTypeUsage)
	f.BoolVar(&spec.Options.NoPrefixCache, "no-prefix-cache", false, "compute every prompt anew")
	completeValues(cmd, "backend", "cpu", "cuda", "ref")
	completePrecision(cmd)
	return cmd
}

// notDeployed says what may be done about a deployment that was refused.
func notDeployed(c *cobra.Command, client *api.Client, err error, spec api.DeploymentSpec) error {
	if spec.Version != "" && api.IsNotFound(err) {
		return fmt.Errorf("%w; `nanofleet model ls` lists models and their versions", err)
	}
	err = orNearest(c.Context(), client, err, spec.Model, modelNames, "`nanofleet model ls` lists them")
	return byFlag(c, err)
}

// writeDeployed says how far a deployment is, and where to look until it is there.
func writeDeployed(w io.Writer, d api.Deployment) {
	fmt.Fprintf(w, "%s: %s ready\n", d.Name, replicas(d))
	if d.Problem != "" {
		fmt.Fprintf(w, "%s: %s\n", d.Name, d.Problem)
	}
	if !d.Settled() {
		fmt.Fprintln(w, "`nanofleet status --watch` shows how it goes on")
	}
}

// replicas says how many of those that are wanted there are; some may be on their way
// out.
func replicas(d api.Deployment) string {
	return fmt.Sprintf("%d of %s", min(d.Ready, d.Replicas), words.Count(d.Replicas, "replica"))
}

// What precision may be; a backend refuses what it does not have.
const (
	quantUsage   = "quantise weights as they are loaded: none, fp8 or int4 (default: as they come)"
	kvDTypeUsage = "element type of the KV: bf16, fp8, f16 or f32 (default: the backend's own)"
)

func undeployCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "undeploy NAME",
		Short:   "Stop a deployment's engines and forget it",
		Long:    "Stop a deployment's engines and forget it. The model's files stay; `nanofleet model rm` removes them.",
		Example: "  nanofleet undeploy my-llama",
		Args:    exactly(1, "a deployment's name, see `nanofleet status`"),

		ValidArgsFunction: completeFirst(o, deploymentNames),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			err = client.Undeploy(c.Context(), args[0])
			return orNearest(c.Context(), client, err, args[0], deploymentNames, "`nanofleet status` lists them")
		},
	}
}

// waitDeployed waits until every replica is ready and nothing else runs. It reports each change of an
// instance's state on standard error.
func waitDeployed(ctx context.Context, client *api.Client, name string, limit time.Duration) (api.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	said := map[string]string{}
	bar := newScreen(os.Stderr)
	for {
		d, err := client.Deployment(ctx, name)
		if err != nil {
			return d, err
		}
		if d.Settled() {
			return d, nil
		}
		reportChanges(bar, said, d)
		select {
		case <-ctx.Done():
			return d, fmt.Errorf("%s: %s ready after %s%s; `nanofleet status --watch` shows how it goes on", name, replicas(d), limit, why(d))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reportChanges says each new state of an instance, and on a terminal its progress, in
// place.
func reportChanges(bar *screen, said map[string]string, d api.Deployment) {
	for _, i := range d.Instances {
		now := strings.TrimSpace(i.State + " " + i.Message)
		if said[i.ID] != now {
			said[i.ID], bar.lines = now, 0
			fmt.Fprintf(os.Stderr, "%s on %s: %s\n", d.Name, i.Node, now)
		}
		if bar.tty != nil && i.Total > 0 && len(d.Instances) == 1 {
			_ = bar.show(progressLine(i)) // only to be looked at
		}
	}
	if said[""] != d.Problem {
		said[""] = d.Problem
		fmt.Fprintf(os.Stderr, "%s: %s\n", d.Name, d.Problem)
	}
}

// why says what keeps a deployment from being ready, as far as is known.
func why(d api.Deployment) string {
	if d.Problem != "" {
		return ": " + d.Problem
	}
	for _, i := range d.Instances {
		if i.Message != "" {
			return ": " + i.Message
		}
	}
	return ""
}
