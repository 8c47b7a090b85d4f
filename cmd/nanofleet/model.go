package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func modelCommand(o *options) *cobra.Command {
	cmd := group(&cobra.Command{Use: "model", Short: "Manage models",
		Example: `  nanofleet model add hf:Qwen/Qwen3-8B --name qwen3-8b
  nanofleet model plan qwen3-8b --gpu h100 --context 32k --concurrency 64
  nanofleet model ls`})
	cmd.AddCommand(modelAdd(o), modelList(o), modelInspect(o), modelPlan(o), modelRemove(o))
	return cmd
}

func modelList(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List models and their versions",
		Example: `  nanofleet model ls
  nanofleet model ls --json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			models, err := client.Models(c.Context())
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), models, func(w io.Writer) {
				fmt.Fprintln(w, "MODEL\tVERSION\tARCHITECTURE\tPARAMETERS\tQUANTISATION\tCONTEXT\tSIZE\tSOURCE\tADDED")
				for _, m := range models {
					for _, v := range m.Versions {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.Name, v.ID, v.Architecture,
							count(v.Parameters), v.Quantisation, v.Context, size(v.Size), dash(v.Origin.Source), ago(v.Created))
					}
				}
			})
		},
	}
}

func modelRemove(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a model and its versions",
		Example: "  nanofleet model rm qwen3-8b",
		Args:    exactly(1, "a model's name, see `nanofleet model ls`"),

		ValidArgsFunction: completeFirst(o, modelNames),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			err = client.RemoveModel(c.Context(), args[0])
			return orNearest(c.Context(), client, err, args[0], modelNames, "`nanofleet model ls` lists them")
		},
	}
}
