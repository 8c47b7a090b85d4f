package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func modelCommand(o *options) *cobra.Command {
	cmd := group(&cobra.Command{Use: "model", Short: "Manage models"})
	cmd.AddCommand(modelAdd(o), modelList(o), modelRemove(o))
	return cmd
}

func modelAdd(o *options) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "add FILE.gguf|DIR",
		Short: "Add a version of a model",
		Long: `Add a version of a model from a GGUF file or a Hugging Face directory
(config.json, tokenizer.json, *.safetensors). Interrupted, it goes on where it
stopped when run again.`,
		Args: exactly(1, "a .gguf file or a model directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need(c, "name"); err != nil {
				return err
			}
			client, err := o.client()
			if err != nil {
				return err
			}
			progress, finish := uploadBars()
			defer finish()
			v, err := client.AddModel(c.Context(), name, args[0], progress)
			if err != nil {
				return err
			}
			finish()
			return o.print(c.OutOrStdout(), v, func(w io.Writer) {
				fmt.Fprintf(w, "%s version %s: %s, %s parameters, %s, context %d, %s\n", v.Model, v.ID,
					v.Architecture, count(v.Parameters), v.Quantisation, v.Context, size(v.Size))
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the model (required)")
	return cmd
}

func modelList(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List models and their versions",
		Args:  exactly(0, "no arguments"),
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
				fmt.Fprintln(w, "MODEL\tVERSION\tARCHITECTURE\tPARAMETERS\tQUANTISATION\tCONTEXT\tSIZE\tADDED")
				for _, m := range models {
					for _, v := range m.Versions {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.Name, v.ID, v.Architecture,
							count(v.Parameters), v.Quantisation, v.Context, size(v.Size), ago(v.Created))
					}
				}
			})
		},
	}
}

func modelRemove(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a model and its versions",
		Args:  exactly(1, "a model's name"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			return client.RemoveModel(c.Context(), args[0])
		},
	}
}
