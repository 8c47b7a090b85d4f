package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nanofleet/nanofleet/api"
)

// introduce waits until the fleet answers, adds and deploys the model, asks the
// question and says how to go on.
func (u *upFlags) introduce(ctx context.Context, o *options, out io.Writer) error {
	began := time.Now()
	client, err := u.await(ctx, o)
	if err != nil {
		return err
	}
	if u.model != "" {
		if err := u.serve(ctx, client); err != nil {
			return err
		}
	}
	u.tookFrom(began)
	if u.ask != "" {
		if err := u.question(ctx, client, out); err != nil {
			return err
		}
	}
	return u.explain(ctx, o, client, out)
}

// tookFrom says how long it took until the fleet could answer.
func (u *upFlags) tookFrom(began time.Time) {
	what := "the fleet answers"
	if u.model != "" {
		what = u.name + " answers"
	}
	fmt.Fprintf(os.Stderr, "%s after %.1fs\n", what, time.Since(began).Seconds())
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
	pace := pace{began: time.Now()}
	err = client.ChatStream(ctx, req, func(d api.ChatDelta) error {
		pace.take(d)
		_, err := io.WriteString(out, d.Content)
		return err
	})
	fmt.Fprint(out, "\n\n")
	if err == nil {
		fmt.Fprintf(out, "speed     %s\n", &pace)
	}
	return err
}

func (u *upFlags) served(ctx context.Context, client *api.Client) (string, error) {
	if u.name != "" {
		return u.name, nil
	}
	return pickModel(ctx, client, nil)
}
