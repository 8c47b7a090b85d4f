// Command nanofleet serves LLMs from a fleet of one's own machines: `nanofleet up`
// runs a whole fleet on one host; coordinator, agent and engine are its three roles;
// the other verbs talk to a coordinator. One file here is one verb, wiring only.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nanofleet/nanofleet/api"
)

// Exit codes, for scripts.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3 // no coordinator answered
	exitRefused     = 4 // it answered, and said no
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nanofleet:", err)
		if next := advice(err); next != "" {
			fmt.Fprintln(os.Stderr, "next:", next)
		}
	}
	os.Exit(exitCode(err))
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	var usage usageError
	var refused *api.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, api.ErrUnreachable), isUntrusted(err), speaksPlain(err):
		return exitUnreachable
	case errors.As(err, &refused):
		return exitRefused
	}
	return exitFailed
}
