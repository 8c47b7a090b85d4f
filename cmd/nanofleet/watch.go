package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/internal/words"
)

// watch shows the status again and again.
type watch struct {
	on    bool
	every time.Duration
}

// everyMin is the shortest time between two looks.
const everyMin = 100 * time.Millisecond

// run looks until ctx ends, which is how it is meant to end. A coordinator that does
// not answer is waited for; one that refuses is not.
func (w watch) run(ctx context.Context, o *options, client *api.Client, out io.Writer) error {
	if w.every < everyMin {
		return usagef("--every %s: must be at least %s", w.every, everyMin)
	}
	s := newScreen(out)
	for {
		st, err := statusOf(ctx, client)
		var refused *api.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.Status < 500:
			return err
		case err != nil:
			err = s.show(fmt.Sprintf("%v\n", err))
		case o.json:
			err = json.NewEncoder(out).Encode(st)
		default:
			var b bytes.Buffer
			t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
			writeStatus(t, st)
			if err = t.Flush(); err == nil {
				err = s.show(b.String())
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.every):
		}
	}
}

// screen shows a text in place of the one before; where there is no terminal, after it.
type screen struct {
	out   io.Writer
	tty   *os.File
	lines int // that the last text took
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.tty = f
	}
	return s
}

// Control sequences: to the first column n lines up; clear from there on.
const (
	upLines    = "\x1b[%dF"
	clearBelow = "\x1b[J"
)

func (s *screen) show(text string) error {
	if s.tty == nil {
		_, err := io.WriteString(s.out, text+"\n")
		return err
	}
	width, height, err := term.GetSize(int(s.tty.Fd()))
	if err != nil || width == 0 {
		width, height = 80, 24
	}
	lines := fit(text, width, height-1)
	move := ""
	if s.lines > 0 {
		move = fmt.Sprintf(upLines, s.lines)
	}
	s.lines = len(lines)
	_, err = io.WriteString(s.out, move+clearBelow+strings.Join(lines, "\n")+"\n")
	return err
}

// fit cuts a text to a screen, so that nothing wraps and nothing scrolls.
func fit(text string, width, height int) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > height {
		lines = append(lines[:max(0, height-1)], fmt.Sprintf("... %s more", words.Count(len(lines)-height+1, "line")))
	}
	for i, line := range lines {
		if r := []rune(line); len(r) > width {
			lines[i] = string(r[:width-1]) + "…"
		}
	}
	return lines
}
