package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Prompts of a message's first line and of those after it.
const (
	firstPrompt = "> "
	morePrompt  = "... "
)

// terminalOf gives the terminal that r is.
func terminalOf(r io.Reader) (*os.File, bool) {
	f, ok := r.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// editor reads messages at a terminal. The terminal is raw only while a line is edited:
// during an answer Ctrl-C is a signal, which ends the answer.
type editor struct {
	keys    *keyboard
	out     io.Writer
	history *history
	line    *term.Terminal
	typed   bool // something, in the line that is edited
	leaving bool // Ctrl-C was pressed at an empty prompt, and nothing after it
}

func newEditor(ctx context.Context, tty *os.File, out io.Writer, h *history) (*editor, error) {
	signal.Reset(os.Interrupt) // it ends answers from here on, not the program
	signal.Ignore(os.Interrupt)
	keys, err := newKeyboard(ctx, tty)
	if err != nil {
		return nil, err
	}
	e := &editor{keys: keys, out: out, history: h}
	e.renew()
	return e, nil
}

// renew makes a line editor that holds no half-edited line.
func (e *editor) renew() {
	e.line = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, e.out}, firstPrompt)
	e.line.History = e.history
	e.line.AutoCompleteCallback = func(string, int, rune) (string, int, bool) {
		e.typed = true
		return "", 0, false
	}
}

func (e *editor) interactive() bool { return true }

// next reads one message.
func (e *editor) next() (string, error) {
	was, err := term.MakeRaw(int(e.keys.tty.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(e.out, "\x1b[?2004h") // pastes come marked
	defer func() {
		fmt.Fprint(e.out, "\x1b[?2004l")
		_ = term.Restore(int(e.keys.tty.Fd()), was) // nothing is left to do about it
	}()
	if w, h, err := term.GetSize(int(e.keys.tty.Fd())); err == nil && w > 0 {
		_ = e.line.SetSize(w, h)
	}
	var m message
	for {
		done, err := e.read(&m)
		switch {
		case errors.Is(err, errInterrupt):
			if e.interrupted(len(m.lines) > 0) {
				return "", io.EOF
			}
			m = message{}
		case err != nil:
			fmt.Fprint(e.out, "\r\n")
			return "", err
		case done:
			return m.text(), nil
		}
	}
}

// read reads a line of a message, or all that was pasted.
func (e *editor) read(m *message) (done bool, err error) {
	e.line.SetPrompt(firstPrompt)
	if len(m.lines) > 0 || m.block {
		e.line.SetPrompt(morePrompt)
	}
	e.typed = false
	text, err := e.line.ReadLine()
	pasted := errors.Is(err, term.ErrPasteIndicator)
	if err != nil && !pasted {
		return false, err
	}
	e.leaving = false
	done = m.add(text)
	return done && !pasted, nil
}

// interrupted drops what was typed; true when there was nothing, for the second time.
func (e *editor) interrupted(begun bool) (leave bool) {
	leave = e.leaving && !e.typed && !begun
	e.leaving = !e.typed && !begun
	switch {
	case leave:
		fmt.Fprint(e.out, "\r\n")
	case e.leaving:
		fmt.Fprint(e.out, "^C\r\n(Ctrl-C once more, or Ctrl-D, leaves)\r\n")
	default:
		fmt.Fprint(e.out, "^C\r\n")
	}
	e.renew()
	return leave
}

// Close ends the use of the terminal.
func (e *editor) Close() error {
	signal.Reset(os.Interrupt)
	return errors.Join(e.keys.Close(), e.history.Close())
}

// errInterrupt says that Ctrl-C was pressed while a line was edited.
var errInterrupt = errors.New("interrupted")

// keyboard reads a raw terminal until a context ends.
type keyboard struct {
	tty       *os.File
	ctx       context.Context
	wake      [2]*os.File
	interrupt bool // the next read says so
}

func newKeyboard(ctx context.Context, tty *os.File) (*keyboard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { w.Close() })
	return &keyboard{tty: tty, ctx: ctx, wake: [2]*os.File{r, w}}, nil
}

// Read gives what was typed. Ctrl-C is an error of its own, Alt-Enter a line that is
// to go on.
func (k *keyboard) Read(p []byte) (int, error) {
	if k.interrupt {
		k.interrupt = false
		return 0, errInterrupt
	}
	if err := k.await(); err != nil {
		return 0, err
	}
	n, err := k.tty.Read(p)
	for _, enter := range []string{"\r", "\n"} {
		copy(p, bytes.ReplaceAll(p[:n], []byte("\x1b"+enter), []byte(`\`+enter)))
	}
	if at := bytes.IndexByte(p[:n], 3); at >= 0 {
		n, k.interrupt = at, true
		if at == 0 {
			return k.Read(p)
		}
	}
	return n, err
}

// await returns once a key was pressed.
func (k *keyboard) await() error {
	fds := []unix.PollFd{{Fd: int32(k.tty.Fd()), Events: unix.POLLIN}, {Fd: int32(k.wake[0].Fd()), Events: unix.POLLIN}}
	for {
		switch _, err := unix.Poll(fds, -1); {
		case k.ctx.Err() != nil:
			return k.ctx.Err()
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			return nil
		}
	}
}

// Close lets go of the terminal.
func (k *keyboard) Close() error {
	_ = k.wake[1].Close() // the context's end may have closed it
	return k.wake[0].Close()
}
