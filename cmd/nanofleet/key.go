package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
)

func keyCommand(o *options) *cobra.Command {
	cmd := group(&cobra.Command{Use: "key", Short: "Manage API keys", Example: `  nanofleet key create my-app
  nanofleet key ls`})
	cmd.AddCommand(keyCreate(o), keyList(o), keyRevoke(o))
	return cmd
}

func keyCreate(o *options) *cobra.Command {
	var spec api.KeySpec
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an API key and print its secret, this once",
		Example: `  nanofleet key create my-app
  nanofleet key create alice --role admin > alice.key`,
		Args: exactly(1, "the name of whom the key is for"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			spec.Name = args[0]
			k, err := client.CreateKey(c.Context(), spec)
			if err != nil {
				return byFlag(c, err)
			}
			return o.print(c.OutOrStdout(), k, func(w io.Writer) { fmt.Fprintln(w, k.Secret) })
		},
	}
	cmd.Flags().StringVar(&spec.Role, "role", "user", "user (the OpenAI API) or admin (everything)")
	return cmd
}

func keyList(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List API keys",
		Example: "  nanofleet key ls",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			keys, err := client.Keys(c.Context())
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), keys, func(w io.Writer) {
				fmt.Fprintln(w, "ID\tNAME\tROLE\tKEY\tCREATED\tREVOKED")
				for _, k := range keys {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Role, k.Hint, ago(k.Created), ago(k.Revoked))
				}
			})
		},
	}
}

func keyRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "End an API key at once",
		Example: "  nanofleet key revoke key-6w32qbopxrfd",
		Args:    exactly(1, "a key's id, see `nanofleet key ls`"),

		ValidArgsFunction: completeFirst(o, keyIDs),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			err = client.RevokeKey(c.Context(), args[0])
			return orNearest(c.Context(), client, err, args[0], keyIDs, "`nanofleet key ls` lists them")
		},
	}
}
