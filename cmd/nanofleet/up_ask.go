package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nanofleet/nanofleet/api"
)

// introduce waits until the fleet answers, adds and deploys the model, asks the
// question and says how to go on.
func (u *upFlags) introduce(ctx context.Context, o *options, out io.Writer) error {
	client, err := u.await(ctx, o)
	if err != nil {
		return err
	}
	if u.model != "" {
		if err := u.serve(ctx, client); err != nil {
			return err
		}
	}
	if u.ask != "" {
		if err := u.question(ctx, client, out); err != nil {
			return err
		}
	}
	if u.model != "" || u.ask != "" {
		return u.explain(ctx, o, client, out)
	}
	fmt.Fprintf(out, "fleet up at %s\n", client.Endpoint())
	return nil
}

// await gives the fleet the time that --timeout says to answer. A model is fetched for
// as long as that takes.
func (u *upFlags) await(ctx context.Context, o *options) (*api.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	return awaitClient(ctx, o)
}

// awaitClient waits until the endpoint and key exist and the coordinator answers.
func awaitClient(ctx context.Context, o *options) (*api.Client, error) {
	for {
		client, err := o.client()
		if err == nil {
			_, err = client.Status(ctx)
		}
		if err == nil {
			return client, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the coordinator does not answer: %w; %s", err, lastWords(o.data, "coordinator"))
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// serve adds the model, which costs a hash when it is there already, and deploys it.
func (u *upFlags) serve(ctx context.Context, client *api.Client) error {
	v, err := u.from.add(ctx, client, u.name, u.model)
	if err != nil {
		return err
	}
	d, err := client.Deployment(ctx, u.name)
	if err != nil && !api.IsNotFound(err) {
		return err
	}
	if err != nil || d.Version != v.ID || d.Replicas == 0 {
		spec := api.DeploymentSpec{Model: u.name, Version: v.ID, Replicas: max(d.Replicas, 1), Options: d.Options}
		if _, err := client.Deploy(ctx, u.name, spec); err != nil {
			return err
		}
	}
	_, err = waitDeployed(ctx, client, u.name, u.timeout)
	return err
}

// question streams the model's answer.
func (u *upFlags) question(ctx context.Context, client *api.Client, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	model, err := u.served(ctx, client)
	if err != nil {
		return err
	}
	zero := 0.0
	req := api.ChatRequest{
		Model:       model,
		Messages:    []api.ChatMessage{{Role: "user", Content: u.ask}},
		MaxTokens:   64,
		Temperature: &zero,
	}
	fmt.Fprintf(out, "\n  you    %s\n  %s  ", u.ask, model)
	err = client.ChatStream(ctx, req, func(d api.ChatDelta) error {
		_, err := io.WriteString(out, d.Content)
		return err
	})
	fmt.Fprint(out, "\n\n")
	return err
}

func (u *upFlags) served(ctx context.Context, client *api.Client) (string, error) {
	if u.name != "" {
		return u.name, nil
	}
	return pickModel(ctx, client, nil)
}

func (u *upFlags) explain(ctx context.Context, o *options, client *api.Client, out io.Writer) error {
	model, err := u.served(ctx, client)
	if err != nil {
		return err
	}
	keyPath := filepath.Join(o.data, keyFileName)
	flags := ""
	if o.data != ".nanofleet" {
		flags = " --data " + o.data
	}
	tls := ""
	if u.tlsCert == "" && client.Endpoint()[:5] == "https" {
		tls = "--cacert " + filepath.Join(o.data, caFile) + " "
	}
	fmt.Fprintf(out, `endpoint  %s (OpenAI-compatible)
API key   %s
try       curl %s%s/chat/completions -H "Authorization: Bearer $(cat %s)" -H 'Content-Type: application/json' -d '{"model":"%s","messages":[{"role":"user","content":"Hello!"}]}'
chat      %[7]s chat%[8]s
status    %[7]s status%[8]s
stop      %[7]s down%[8]s
`, client.Endpoint(), keyPath, tls, client.Endpoint(), keyPath, model, os.Args[0], flags)
	return nil
}
