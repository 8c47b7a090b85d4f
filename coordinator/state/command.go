package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Kind numbers a command in the log. Numbers are never reused.
type Kind uint16

// Kinds of command.
//
//	1 to 71  2026-11-23  first version
const (
	KindAddModelVersion  Kind = 1
	KindRemoveVersion    Kind = 2
	KindRemoveModel      Kind = 3
	KindPutDeployment    Kind = 10
	KindRemoveDeployment Kind = 11
	KindSetInstances     Kind = 20
	KindCreateKey        Kind = 30
	KindRevokeKey        Kind = 31
	KindCreateJoinToken  Kind = 40
	KindUseJoinToken     Kind = 41
	KindPutNode          Kind = 50
	KindRevokeNode       Kind = 51
	KindRemoveNode       Kind = 52
	KindPutProject       Kind = 60
	KindRemoveProject    Kind = 61
	KindPutRoute         Kind = 70
	KindRemoveRoute      Kind = 71
)

// Command changes the state when it is applied. Times, ids and random values are in
// it, so that every coordinator does the same. The types of this package are all
// there are.
type Command interface {
	Kind() Kind
	apply(tx *txn) error
}

// blank makes an empty command of each kind to decode into.
var blank = map[Kind]func() Command{
	KindAddModelVersion:  func() Command { return new(AddModelVersion) },
	KindRemoveVersion:    func() Command { return new(RemoveVersion) },
	KindRemoveModel:      func() Command { return new(RemoveModel) },
	KindPutDeployment:    func() Command { return new(PutDeployment) },
	KindRemoveDeployment: func() Command { return new(RemoveDeployment) },
	KindSetInstances:     func() Command { return new(SetInstances) },
	KindCreateKey:        func() Command { return new(CreateKey) },
	KindRevokeKey:        func() Command { return new(RevokeKey) },
	KindCreateJoinToken:  func() Command { return new(CreateJoinToken) },
	KindUseJoinToken:     func() Command { return new(UseJoinToken) },
	KindPutNode:          func() Command { return new(PutNode) },
	KindRevokeNode:       func() Command { return new(RevokeNode) },
	KindRemoveNode:       func() Command { return new(RemoveNode) },
	KindPutProject:       func() Command { return new(PutProject) },
	KindRemoveProject:    func() Command { return new(RemoveProject) },
	KindPutRoute:         func() Command { return new(PutRoute) },
	KindRemoveRoute:      func() Command { return new(RemoveRoute) },
}

const (
	commandFormat = 1
	commandHead   = 5 // format, kind, flags
	// flagIgnorable marks a command that a coordinator which does not know its kind
	// may skip. No kind has it yet.
	flagIgnorable = 1 << 0
)

// CommandMax is the most bytes of an encoded command: a manifest of 16 TiB in chunks
// of 64 MiB fits.
const CommandMax = 32 << 20

// Errors of Decode. A coordinator that meets one in its log must stop: it would
// otherwise go on with another state than the rest.
var (
	ErrUnknownCommand = errors.New("state: command is of a newer version")
	ErrBadCommand     = errors.New("state: malformed command")
)

// Encode writes a command as it stands in the log: format, kind and flags, then JSON.
func Encode(cmd Command) ([]byte, error) {
	payload, err := json.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("state: encode command %d: %w", cmd.Kind(), err)
	}
	if n := commandHead + len(payload); n > CommandMax {
		return nil, invalid("command", "", "size", "%d bytes, at most %d", n, CommandMax)
	}
	b := make([]byte, commandHead, commandHead+len(payload))
	b[0] = commandFormat
	binary.BigEndian.PutUint16(b[1:], uint16(cmd.Kind()))
	return append(b, payload...), nil
}

// Decode reads what Encode wrote. A command of an unknown kind that may be ignored
// comes back as one that does nothing.
func Decode(b []byte) (Command, error) {
	if len(b) < commandHead || len(b) > CommandMax {
		return nil, fmt.Errorf("%w: %d bytes, want %d to %d", ErrBadCommand, len(b), commandHead, CommandMax)
	}
	if b[0] != commandFormat {
		return nil, fmt.Errorf("%w: format %d, this build reads %d", ErrUnknownCommand, b[0], commandFormat)
	}
	kind, flags := Kind(binary.BigEndian.Uint16(b[1:])), binary.BigEndian.Uint16(b[3:])
	fresh, known := blank[kind]
	if !known {
		if flags&flagIgnorable != 0 {
			return skipped(kind), nil
		}
		return nil, fmt.Errorf("%w: kind %d", ErrUnknownCommand, kind)
	}
	cmd := fresh()
	if err := decodeJSON(b[commandHead:], cmd); err != nil {
		return nil, fmt.Errorf("%w: kind %d: %w", ErrBadCommand, kind, err)
	}
	return cmd, nil
}

// decodeJSON reads one JSON value into v and nothing else: a field we do not know
// would be a change that we leave out.
func decodeJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("bytes after the JSON value, at %d of %d", d.InputOffset(), len(b))
	}
	return nil
}

// skipped stands for a command of a newer version that may be ignored.
type skipped Kind

func (s skipped) Kind() Kind          { return Kind(s) }
func (s skipped) apply(tx *txn) error { return nil }
