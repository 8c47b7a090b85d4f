package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Messages of several lines, as a pipe or a terminal gives them.
func TestMessages(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"one\ntwo\n", []string{"one", "two"}},
		{"no end", []string{"no end"}},
		{"one\\\ntwo\nthree\n", []string{"one\ntwo", "three"}},
		{"open\\\n", []string{"open"}},
		{"\"\"\"\none\n\ntwo\n\"\"\"\nthree\n", []string{"one\n\ntwo", "three"}},
		{"\"\"\"one\ntwo\"\"\"\n", []string{"one\ntwo"}},
		{"\"\"\"one\"\"\"\n", []string{"one"}},
		{"\"\"\"\nkeeps \\\n\"\"\"\n", []string{"keeps \\"}},
		{"\"\"\"\nnever closed\n", []string{"never closed"}},
		{"say \"\"\" in a line\n", []string{"say \"\"\" in a line"}},
		{"", nil},
	} {
		p := newPipe(strings.NewReader(c.in))
		var got []string
		for {
			m, err := p.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("%q: %v", c.in, err)
				}
				break
			}
			got = append(got, m)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSlash(t *testing.T) {
	for in, want := range map[string][2]string{
		"/help": {"help", ""}, "/set temperature 0.2 ": {"set", "temperature 0.2"}, "/?": {"?", ""}, "/system  be brief": {"system", "be brief"},
		"/etc/passwd is what?": {}, " /help": {}, "help": {}, "/": {}, "/Help": {}, "/clear\nthis": {},
	} {
		name, rest, ok := slash(in)
		if got := [2]string{name, rest}; got != want || ok != (want[0] != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}

// What can be done in a conversation without a fleet, and what is said about mistakes.
func TestChatCommands(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	s := &session{out: &out, errs: &errs}
	file := filepath.Join(dir, "talk.json")
	for _, c := range []struct {
		say, out, err string
	}{
		{"/help", "/clear", ""},
		{"/system", "-", ""},
		{"/system be brief", "", ""},
		{"/system", "be brief", ""},
		{"/set temperature 0.2", "", ""},
		{"/set seed 7", "", ""},
		{"/set max_tokens 9", "", ""},
		{"/set top_p 0.5", "", ""},
		{"/set", "temperature 0.2, top_p 0.5, seed 7, max_tokens 9", ""},
		{"/set temperature", "", "a name and a value"},
		{"/set temperature 3", "", `"3": must be 0 to 2`},
		{"/set temperature NaN", "", "must be 0 to 2"},
		{"/set temprature 1", "", `perhaps you mean "temperature"`},
		{"/set seed x", "", "whole number"},
		{"/set max_tokens -1", "", "whole number"},
		{"/save", "", "wants a file"},
		{"/load", "", "wants a file"},
		{"/save " + file, "", ""},
		{"/system other", "", ""},
		{"/load " + file, "", ""},
		{"/system", "be brief", ""},
		{"/load " + dir, "", "no conversation"},
		{"/load " + file + "x", "", "no such file"},
		{"/save " + filepath.Join(dir, "no", "where"), "", "no such file"},
		{"/hlep", "", `perhaps you mean "/help"`},
		{"/zzzzzzz", "", "/help lists them"},
		{"/quit", "", "leave"},
		{"   ", "", ""},
	} {
		out.Reset()
		err := s.say(t.Context(), c.say)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.say, err, c.err)
		}
		if !strings.Contains(out.String(), c.out) {
			t.Errorf("%s: shows %q, want %q", c.say, out.String(), c.out)
		}
	}
	if len(s.req.Messages) != 1 || s.req.Messages[0].Content != "be brief" {
		t.Errorf("messages %v", s.req.Messages)
	}
	if m, err := os.Stat(file); err != nil || m.Mode().Perm() != 0o600 {
		t.Errorf("saved with %v, %v", m, err)
	}
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "history")
	h, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one", "one", " ", "two"} {
		h.Add(line)
	}
	if h.Len() != 2 || h.At(0) != "two" || h.At(1) != "one" {
		t.Errorf("%q", h.lines)
	}
	for range historyMax {
		h.Add("x")
		h.Add("y")
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if h, err = openHistory(path); err != nil || h.Len() != historyMax || h.At(0) != "y" {
		t.Errorf("read again: %d lines, %v", h.Len(), err)
	}
	if b, _ := os.ReadFile(path); bytes.Count(b, []byte("\n")) != historyMax {
		t.Error("the file was not cut")
	}
	if err := errors.Join(h.Close(), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	if h, err = openHistory(path); err != nil {
		t.Error(err)
	}
	if m, _ := os.Stat(path); m.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", m.Mode().Perm())
	}
	h.Close()
	if h, err = openHistory(filepath.Join(path, "below a file")); err == nil || h == nil {
		t.Errorf("%v, %v", h, err)
	}
	h.Add("still works")
	if h, err = openHistory(""); err != nil || h.Close() != nil {
		t.Error(err)
	}
}

func TestPerhaps(t *testing.T) {
	names := []string{"qwen3-8b", "smollm2-135m", "tiny"}
	for name, want := range map[string]string{
		"tniy": `, perhaps you mean "tiny"`, "Tiny": `, perhaps you mean "tiny"`, "smollm-135m": `, perhaps you mean "smollm2-135m"`,
		"qwen": `, perhaps you mean "qwen3-8b"`, "gpt": " (there are: qwen3-8b, smollm2-135m, tiny)",
	} {
		if got := perhaps(name, names); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := perhaps("x", nil); got != "" {
		t.Errorf("of none: %q", got)
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"é", "e", 1}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
