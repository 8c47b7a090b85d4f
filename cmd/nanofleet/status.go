package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
)

func statusCommand(o *options) *cobra.Command {
	var w watch
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, deployments and instances, and what is loading",
		Long: `Show nodes, deployments and instances. What is fetched or loaded is shown with its
phase, bytes and the time that is left at the rate of the last seconds.

--watch shows it again and again, in place on a terminal; with --json each time is one
line. -o json has more than the tables: options, numerics, footprints.`,
		Example: `  nanofleet status
  nanofleet status --watch
  nanofleet status -o json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if w.on {
				return w.run(c.Context(), o, client, c.OutOrStdout())
			}
			st, err := client.Status(c.Context())
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), st, func(w io.Writer) { writeStatus(w, st) })
		},
	}
	cmd.Flags().BoolVarP(&w.on, "watch", "w", false, "show it again and again, until ^C")
	cmd.Flags().DurationVar(&w.every, "every", time.Second, "with --watch, how often")
	return cmd
}

func writeStatus(w io.Writer, st api.Status) {
	writeNodes(w, st.Nodes)
	fmt.Fprintln(w)
	if len(st.Deployments) == 0 {
		fmt.Fprintln(w, "Nothing is deployed: `nanofleet model add`, then `nanofleet deploy`.")
		return
	}
	fmt.Fprintln(w, "DEPLOYMENT\tMODEL\tVERSION\tREADY\tQUEUED\tPROBLEM")
	for _, d := range st.Deployments {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%d\t%s\n", d.Name, d.Model, d.Version, d.Ready, d.Replicas, d.Queued, dash(d.Problem))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "INSTANCE\tDEPLOYMENT\tNODE\tSTATE\tPROGRESS\tRUNNING\tWAITING\tTOK/S\tRESTARTS\tMEMORY\tMESSAGE")
	for _, d := range st.Deployments {
		for _, i := range d.Instances {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%.0f\t%d\t%s\t%s\n", i.ID, d.Name, i.Node, i.State, progressOf(i), i.Running, i.Waiting,
				i.Decode, i.Restarts, size(i.Footprint.Total), dash(i.Message))
		}
	}
}

func writeNodes(w io.Writer, nodes []api.Node) {
	if len(nodes) == 0 {
		fmt.Fprintln(w, "No host has joined: `nanofleet token create` lets one in.")
		return
	}
	fmt.Fprintln(w, "NODE\tSTATE\tDEVICE\tRESERVED\tMEMORY\tLAST SEEN")
	for _, n := range nodes {
		for _, d := range n.Devices {
			fmt.Fprintf(w, "%s (%s)\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Hostname, n.State, d.Name, size(d.Reserved), size(d.MemoryBytes), ago(n.LastSeen))
		}
	}
}

// progressOf says how far an instance's present phase is and how long it goes on.
func progressOf(i api.Instance) string {
	switch {
	case i.State == "ready" || i.State == "stopped":
		return "-"
	case i.Total == 0:
		if i.Since.IsZero() {
			return dash(i.Phase)
		}
		return fmt.Sprintf("for %s", short(time.Since(i.Since)))
	}
	s := fmt.Sprintf("%s %s of %s (%.0f%%)", i.Phase, size(i.Done), size(i.Total), 100*i.Progress)
	if i.Left > 0 {
		s += fmt.Sprintf(", %s left", short(time.Duration(i.Left*float64(time.Second))))
	}
	return s
}

// short says a time in at most two units.
func short(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// progressLine is what waiting for a deployment shows of an instance.
func progressLine(i api.Instance) string {
	s := i.State
	if i.Total > 0 {
		s += " " + progressOf(i)
	}
	if i.Message != "" {
		s += ": " + i.Message
	}
	return s
}

// statusOf asks for the status with a bound of its own.
func statusOf(ctx context.Context, client *api.Client) (api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return client.Status(ctx)
}
