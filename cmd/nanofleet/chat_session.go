package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/words"
)

// input gives messages, from a person or a pipe.
type input interface {
	// next waits for a message: io.EOF at the end.
	next() (string, error)
	// interactive tells whether a person is there, who can put right what went wrong.
	interactive() bool
	Close() error
}

// session is one conversation.
type session struct {
	client *api.Client
	req    api.ChatRequest
	system string
	out    io.Writer
	errs   io.Writer
	json   bool
	stats  bool
}

// errLeave ends a conversation that its user wants to end.
var errLeave = errors.New("leave")

func (s *session) loop(ctx context.Context, in input) error {
	if in.interactive() {
		fmt.Fprintf(s.out, "Talking with %s. /help says what there is, Ctrl-D leaves.\n", s.req.Model)
	}
	for {
		text, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch err := s.say(ctx, text); {
		case errors.Is(err, errLeave):
			return nil
		case err == nil:
		case !in.interactive() || ctx.Err() != nil:
			return err
		default: // the conversation goes on
			fmt.Fprintln(s.errs, "nanofleet:", err)
		}
	}
}

// say does what a message asks for.
func (s *session) say(ctx context.Context, text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if name, rest, ok := slash(text); ok {
		return s.command(ctx, name, rest)
	}
	return s.turn(ctx, strings.TrimSpace(text))
}

// clear forgets what was said, but not the system prompt.
func (s *session) clear() {
	s.req.Messages = nil
	if s.system != "" {
		s.req.Messages = append(s.req.Messages, api.ChatMessage{Role: "system", Content: s.system})
	}
}

// turn sends what was said so far and the new text, and remembers both the text and
// the answer, as far as it came.
func (s *session) turn(ctx context.Context, text string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	req := s.req
	req.Messages = append(slices.Clip(s.req.Messages), api.ChatMessage{Role: "user", Content: text})
	var answer strings.Builder
	pace := pace{began: time.Now()}
	err := s.client.ChatStream(ctx, req, func(d api.ChatDelta) error {
		pace.take(d)
		answer.WriteString(d.Content)
		return s.show(d.Content)
	})
	stopped := err != nil && errors.Is(context.Cause(ctx), errStopped)
	if answer.Len() > 0 && !s.json {
		fmt.Fprintln(s.out)
	}
	if err != nil && !stopped {
		return err
	}
	if stopped {
		fmt.Fprintln(s.errs, "(stopped)")
	}
	said := api.ChatMessage{Role: "assistant", Content: answer.String()}
	s.req.Messages = append(req.Messages, said)
	if s.stats && !stopped {
		fmt.Fprintln(s.errs, pace.String())
	}
	if s.json {
		return json.NewEncoder(s.out).Encode(said)
	}
	return nil
}

// errStopped is the cause of an answer that its reader has stopped.
var errStopped = errors.New("stopped")

// interruptible ends an answer when its reader presses Ctrl-C.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	done := make(chan struct{})
	go func() {
		select {
		case <-c:
			cancel(errStopped)
		case <-done:
		}
	}()
	return ctx, func() { signal.Stop(c); close(done); cancel(nil) }
}

// show prints text as it comes; JSON waits for the whole answer.
func (s *session) show(text string) error {
	if s.json {
		return nil
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// pace is how fast an answer came.
type pace struct {
	began, first time.Time
	usage        *api.Usage
}

func (p *pace) take(d api.ChatDelta) {
	if p.first.IsZero() && d.Content != "" {
		p.first = time.Now()
	}
	if d.Usage != nil {
		p.usage = d.Usage
	}
}

// tooShort is a time over which no rate can be told: the answer came in one piece.
const tooShort = 50 * time.Millisecond

// String says tokens, rate and the wait for the first one.
func (p *pace) String() string {
	if p.usage == nil || p.first.IsZero() {
		return "no tokens came"
	}
	rate := float64(p.usage.CompletionTokens) / time.Since(p.began).Seconds()
	if d := time.Since(p.first); p.usage.CompletionTokens > 1 && d > tooShort {
		rate = float64(p.usage.CompletionTokens-1) / d.Seconds()
	}
	return fmt.Sprintf("%s, %.1f tok/s, the first after %.2fs; prompt %s, %d of them cached", words.Count(p.usage.CompletionTokens, "token"), rate,
		p.first.Sub(p.began).Seconds(), words.Count(p.usage.PromptTokens, "token"), p.usage.Details.Cached)
}
