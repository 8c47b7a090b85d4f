package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/inspect"
	"github.com/nanofleet/nanofleet/internal/words"
)

func modelInspect(o *options) *cobra.Command {
	var from sourceFlags
	var tensors bool
	var output string
	cmd := &cobra.Command{
		Use:   "inspect SOURCE|NAME[@VERSION]",
		Short: "Say what a model is",
		Long: `Say what a model is: architecture, size, quantisation, tokenizer, template, licence
and metadata, from the headers of its files. Of a model that lies at a Hub or on a web
server the headers alone are read. SOURCE is what ` + "`nanofleet model add`" + ` takes and
needs no fleet; NAME is a model of the fleet.`,
		Example: `  nanofleet model inspect model.gguf
  nanofleet model inspect hf:Qwen/Qwen3-8B-GGUF:Q4_K_M --tensors
  nanofleet model inspect qwen3-8b -o json`,
		Args: exactly(1, "a source or a model's name"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.takeOutput(output); err != nil {
				return err
			}
			in, err := from.inspect(c.Context(), o, args[0], tensors)
			if err != nil {
				return err
			}
			return o.print(c.OutOrStdout(), in, func(w io.Writer) { tell(w, in) })
		},
	}
	from.reach(cmd.Flags())
	cmd.Flags().BoolVar(&tensors, "tensors", false, "list every tensor")
	outputFlag(cmd.Flags(), &output)
	return cmd
}

func (s *sourceFlags) inspect(ctx context.Context, o *options, ref string, tensors bool) (api.Inspection, error) {
	if name, version, ok := inFleet(ref); ok {
		client, err := o.client()
		if err != nil {
			return api.Inspection{}, err
		}
		in, err := client.Inspect(ctx, name, version, tensors)
		return in, orNearest(ctx, client, err, name, modelNames, "a path wants a / in it")
	}
	path, m, done, err := s.look(ctx, ref)
	defer done()
	if err != nil {
		return api.Inspection{}, err
	}
	in, err := inspect.Model(path, tensors)
	if err == nil && m != nil {
		in.Origin = api.Origin{Source: m.Source, Revision: m.Revision, Licence: m.Licence}
		in.Licence = cmp.Or(in.Licence, m.Licence)
	}
	return in, err
}

// tell prints an inspection for people.
func tell(w io.Writer, in api.Inspection) {
	row := func(key, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", key, fmt.Sprintf(format, args...))
	}
	row("name", "%s", printable(in.Name))
	row("format", "%s, %s, %s", in.Format, words.Count(len(in.Files), "file"), size(in.Size))
	if in.Origin.Source != "" {
		row("source", "%s%s", in.Origin.Source, at(in.Origin.Revision))
	}
	row("architecture", "%s", dash(printable(in.Architecture)))
	if in.Problem != "" {
		row("served", "no: %s", printable(in.Problem))
	} else {
		row("served", "yes")
	}
	row("parameters", "%s (%d)", count(in.Parameters), in.Parameters)
	if s := in.Shape; s != nil {
		row("context", "%s, %s of KV a token in 16 bits", words.Count(in.Context, "token"), size(s.KVPerToken))
		row("shape", "%s, hidden %d, ffn %d, heads %d, kv heads %d of %d, vocabulary %d", words.Count(s.Layers, "layer"), s.Hidden, s.FFN, s.Heads, s.KVHeads, s.HeadDim, s.Vocab)
	}
	for _, t := range in.Quantisation {
		row("type "+t.Type, "%s, %s parameters, %s", words.Count(t.Tensors, "tensor"), count(t.Parameters), size(t.Bytes))
	}
	if t := in.Tokenizer; t != nil {
		row("tokenizer", "%s %s, %s, begins with %q, ends with %q", printable(t.Kind), printable(t.Splitter), words.Count(t.Vocab, "token"), t.BOS, t.EOS)
	}
	row("template", "%s", templates(in))
	if in.Pooling != "" {
		row("embeddings", "%s", in.Pooling)
	}
	row("licence", "%s", dash(printable(in.Licence)))
	for _, key := range slices.Sorted(maps.Keys(in.Metadata)) {
		row("  "+printable(key), "%s", printable(in.Metadata[key]))
	}
	if len(in.Tensors) > 0 {
		fmt.Fprintln(w, "\nTENSOR\tTYPE\tSHAPE\tSIZE")
	}
	for _, t := range in.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%v\t%s\n", printable(t.Name), t.Type, t.Shape, size(t.Bytes))
	}
}

// templates says whether a model can chat, and by which names.
func templates(in api.Inspection) string {
	others := printable(strings.Join(in.Templates, ", "))
	switch {
	case in.Template == "" && others == "":
		return "none: completions only"
	case in.Template == "":
		return "no default; requests name one: " + others
	case others == "":
		return "yes"
	}
	return "yes; by name also " + others
}

// printable keeps what a file says on one line, and from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
