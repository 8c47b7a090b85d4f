package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// historyMax is how many lines are kept; the file is cut to as many when it is opened.
const historyMax = 1000

// historyPath is where lines are kept, as the XDG base directories have it.
func historyPath() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "nanofleet", "chat-history")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "nanofleet", "chat-history")
}

// history is the lines typed at prompts, newest last; it is a term.History.
type history struct {
	lines []string
	file  *os.File // nil: kept for this chat only
}

// openHistory reads the lines of earlier chats. Whatever goes wrong, what it gives can
// be used.
func openHistory(path string) (*history, error) {
	h := &history{}
	if path == "" {
		return h, nil
	}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return h, err
	}
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		h.keep(s.Text())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return h, err
	}
	if strings.Count(string(b), "\n") > historyMax {
		if err := os.WriteFile(path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600); err != nil {
			return h, err
		}
	}
	h.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		err = h.file.Chmod(0o600)
	}
	return h, err
}

func (h *history) keep(line string) bool {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return false
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-historyMax):]
	return true
}

// Add keeps a line, but not the same one twice in a row.
func (h *history) Add(line string) {
	if h.keep(line) && h.file != nil {
		_, _ = h.file.WriteString(line + "\n") // a full disk is no reason to stop talking
	}
}

// Len is how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// At gives a line, counted from the newest.
func (h *history) At(n int) string { return h.lines[len(h.lines)-1-n] }

// Close ends the file.
func (h *history) Close() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}
