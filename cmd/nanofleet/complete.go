package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanofleet/nanofleet/api"
)

// completeWait bounds how long a shell waits for names: without a fleet there are none.
const completeWait = 700 * time.Millisecond

// names are the words that an argument can be.
type names func(ctx context.Context, client *api.Client) ([]string, error)

// completeFirst completes a command's first argument.
func completeFirst(o *options, from names) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.complete(c, from)
	}
}

// completeFlag completes the value of a flag.
func completeFlag(o *options, c *cobra.Command, flag string, from names) {
	err := c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return o.complete(c, from)
	})
	if err != nil {
		panic(err) // there is no such flag: a slip in this program
	}
}

// completeValues completes a flag that takes one of some values.
func completeValues(c *cobra.Command, flag string, values ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag: a slip in this program
	}
}

// completePrecision completes what says precision.
func completePrecision(c *cobra.Command) {
	completeValues(c, "quant", "none", "fp8", "int4")
	completeValues(c, "kv-dtype", "bf16", "fp8", "f16", "f32")
}

func (o *options) complete(c *cobra.Command, from names) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completeWait)
	defer cancel()
	client, err := o.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := from(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// servedNames are the models that apps can ask for.
func servedNames(ctx context.Context, client *api.Client) ([]string, error) {
	return client.ServedModels(ctx)
}

// modelNames are the models that were added.
func modelNames(ctx context.Context, client *api.Client) (list []string, err error) {
	models, err := client.Models(ctx)
	for _, m := range models {
		list = append(list, m.Name)
	}
	return list, err
}

func deploymentNames(ctx context.Context, client *api.Client) (list []string, err error) {
	all, err := client.Deployments(ctx)
	for _, d := range all {
		list = append(list, d.Name)
	}
	return list, err
}

// nodeNames are the ids of hosts, with their host names for people.
func nodeNames(ctx context.Context, client *api.Client) (list []string, err error) {
	nodes, err := client.Nodes(ctx)
	for _, n := range nodes {
		if n.State != "revoked" {
			list = append(list, n.ID+"\t"+n.Hostname)
		}
	}
	return list, err
}

// keyIDs are the keys that can be revoked, with whose they are.
func keyIDs(ctx context.Context, client *api.Client) (list []string, err error) {
	keys, err := client.Keys(ctx)
	for _, k := range keys {
		if k.Revoked.IsZero() {
			list = append(list, k.ID+"\t"+k.Name)
		}
	}
	return list, err
}
