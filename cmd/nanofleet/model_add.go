package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func modelAdd(o *options) *cobra.Command {
	var name string
	var from sourceFlags
	cmd := &cobra.Command{
		Use:   "add SOURCE",
		Short: "Add a version of a model",
		Long: `Add a version of a model. SOURCE is

  DIR                          a Hugging Face directory: config.json, tokenizer.json,
                               *.safetensors
  FILE.gguf                    a GGUF file, or the first part of a split one
  hf:org/name[@revision]       a repository of a Hugging Face Hub; of one with several
                               GGUF files :Q4_K_M or --file says which
  https://host/path/x.gguf     a file of a web server, or a directory that holds
                               config.json
  ollama:name[:tag]            a model of the Ollama store on this machine

What lies elsewhere is fetched to this machine first, verified, and removed once the
fleet has it. Interrupted, the command goes on where it stopped when run again.`,
		Example: `  nanofleet model add hf:Qwen/Qwen3-8B --name qwen3-8b
  nanofleet model add hf:Qwen/Qwen3-8B-GGUF:Q4_K_M
  nanofleet model add https://models.example/smollm2.gguf --sha256 b179...db53
  nanofleet model add ollama:llama3.2:3b
  nanofleet model add ./model-00001-of-00003.gguf --name big`,
		Args: exactly(1, "a source: a path, hf:org/name, a URL or ollama:name"),
		RunE: func(c *cobra.Command, args []string) error {
			if name == "" {
				name = nameOf(args[0])
			}
			client, err := o.client()
			if err != nil {
				return err
			}
			v, err := from.add(c.Context(), client, name, args[0])
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), v, func(w io.Writer) {
				fmt.Fprintf(w, "%s version %s: %s, %s parameters, %s, context %d, %s\n", v.Model, v.ID,
					v.Architecture, count(v.Parameters), v.Quantisation, v.Context, size(v.Size))
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the model (default: after its source)")
	from.fetch(cmd.Flags())
	return cmd
}
