package main

import (
	"bufio"
	"io"
	"strings"
)

// blockMark stands before and after a message of several lines.
const blockMark = `"""`

// message gathers the lines of one message.
type message struct {
	lines []string
	block bool // a block has begun and not ended
}

// add takes a line; done when the message is whole.
func (m *message) add(line string) (done bool) {
	if m.block {
		rest, ended := strings.CutSuffix(strings.TrimRight(line, " \t"), blockMark)
		if !ended {
			m.lines = append(m.lines, line)
			return false
		}
		if rest != "" {
			m.lines = append(m.lines, rest)
		}
		return true
	}
	if len(m.lines) == 0 {
		if rest, begun := strings.CutPrefix(strings.TrimLeft(line, " \t"), blockMark); begun {
			m.block = true
			if rest == "" {
				return false
			}
			return m.add(rest)
		}
	}
	if rest, more := strings.CutSuffix(line, `\`); more {
		m.lines = append(m.lines, rest)
		return false
	}
	m.lines = append(m.lines, line)
	return true
}

func (m *message) text() string { return strings.Join(m.lines, "\n") }

// pipe reads messages from what is no terminal.
type pipe struct{ lines *bufio.Scanner }

// lineMax bounds one line of a pipe.
const lineMax = 16 << 20

func newPipe(r io.Reader) *pipe {
	s := bufio.NewScanner(r)
	s.Buffer(nil, lineMax)
	return &pipe{s}
}

func (p *pipe) next() (string, error) {
	var m message
	for p.lines.Scan() {
		if m.add(p.lines.Text()) {
			return m.text(), nil
		}
	}
	if err := p.lines.Err(); err != nil {
		return "", err
	}
	if len(m.lines) > 0 { // the end of input ends a message too
		return m.text(), nil
	}
	return "", io.EOF
}

func (p *pipe) interactive() bool { return false }
func (p *pipe) Close() error      { return nil }
