package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show nodes, deployments and instances",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			st, err := client.Status(c.Context())
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), st, func(w io.Writer) { writeStatus(w, st) })
		},
	}
}

func writeStatus(w io.Writer, st api.Status) {
	fmt.Fprintln(w, "NODE\tSTATE\tDEVICE\tMEMORY\tRESERVED\tLAST SEEN")
	for _, n := range st.Nodes {
		for _, d := range n.Devices {
			fmt.Fprintf(w, "%s (%s)\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Hostname, n.State, d.Name, size(d.MemoryBytes), size(d.Reserved), ago(n.LastSeen))
		}
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "DEPLOYMENT\tMODEL\tVERSION\tREADY\tPROBLEM")
	for _, d := range st.Deployments {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%s\n", d.Name, d.Model, d.Version, d.Ready, d.Replicas, dash(d.Problem))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "INSTANCE\tDEPLOYMENT\tNODE\tSTATE\tRUNNING\tWAITING\tRESTARTS\tMEMORY\tMESSAGE")
	for _, d := range st.Deployments {
		for _, i := range d.Instances {
			state := i.State
			if i.Progress > 0 && i.Progress < 1 {
				state = fmt.Sprintf("%s %.0f%%", state, i.Progress*100)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", i.ID, d.Name, i.Node, state, i.Running, i.Waiting,
				i.Restarts, size(i.Footprint.Total), dash(i.Message))
		}
	}
}
