package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
)

func tokenCommand(o *options) *cobra.Command {
	cmd := group(&cobra.Command{Use: "token", Short: "Let hosts join", Example: "  nanofleet token create > join-token"})
	cmd.AddCommand(tokenCreate(o))
	return cmd
}

func tokenCreate(o *options) *cobra.Command {
	var spec api.TokenSpec
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a token that lets one host join once",
		Example: `  nanofleet token create > join-token
  nanofleet token create --ttl 15m`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			t, err := client.CreateToken(c.Context(), spec)
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), t, func(w io.Writer) { fmt.Fprintln(w, t.Token) })
		},
	}
	cmd.Flags().StringVar(&spec.TTL, "ttl", "1h", "how long the token is good")
	return cmd
}
