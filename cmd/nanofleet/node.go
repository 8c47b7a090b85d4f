package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
)

func nodeCommand(o *options) *cobra.Command {
	cmd := group(&cobra.Command{Use: "node", Short: "Manage hosts", Example: `  nanofleet node ls
  nanofleet node rm node-zcfgk7xhfehm`})
	cmd.AddCommand(nodeList(o), nodeRemove(o))
	return cmd
}

func nodeList(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List hosts and their devices",
		Example: "  nanofleet node ls",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			nodes, err := client.Nodes(c.Context())
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), nodes, func(w io.Writer) {
				fmt.Fprintln(w, "ID\tHOST\tSTATE\tDEVICES\tVERSION\tJOINED\tLAST SEEN")
				for _, n := range nodes {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Hostname, n.State, devices(n), dash(n.Version), ago(n.Joined), ago(n.LastSeen))
				}
			})
		},
	}
}

func devices(n api.Node) string {
	var list []string
	for _, d := range n.Devices {
		list = append(list, d.Name)
	}
	return dash(strings.Join(list, ", "))
}

func nodeRemove(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "rm ID",
		Short: "Take a host out of the fleet",
		Long: `Take a host out of the fleet: its certificate is refused from then on, and its
instances are placed elsewhere. It can join again with a new token and a new directory.`,
		Example: "  nanofleet node rm node-zcfgk7xhfehm",
		Args:    exactly(1, "a host's id, see `nanofleet node ls`"),

		ValidArgsFunction: completeFirst(o, nodeNames),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			err = client.RevokeNode(c.Context(), args[0])
			return orNearest(c.Context(), client, err, args[0], nodeNames, "`nanofleet node ls` lists them")
		},
	}
}
