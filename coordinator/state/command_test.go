package state

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func sampleCommands() []Command {
	return []Command{
		&AddModelVersion{sampleVersion("v1", "smol")}, &RemoveVersion{DefaultProject, "v1"}, &RemoveModel{DefaultProject, "smol"},
		&PutDeployment{sampleDeployment("chat", "v1")}, &RemoveDeployment{DefaultProject, "chat"},
		setInstances([]Instance{sampleInstance("i1", 1)}, "i0"),
		&CreateKey{sampleKey("k1", "1")}, &RevokeKey{DefaultProject, "k1", t0},
		&CreateJoinToken{sampleToken("t1")}, &UseJoinToken{"t1", hexOf("e"), sampleNode("n2"), t0},
		&PutNode{sampleNode("n1")}, &RevokeNode{"n1", t0}, &RemoveNode{"n1"},
		&PutProject{Project{ID: "p", Name: "P", CreatedMS: t0}}, &RemoveProject{"p"},
		&PutRoute{Route{Name: "r", Project: DefaultProject, Targets: []Target{{"chat", 1}}}}, &RemoveRoute{DefaultProject, "r"},
	}
}

func TestEveryCommandRoundTrips(t *testing.T) {
	seen := map[Kind]bool{}
	for _, cmd := range sampleCommands() {
		b, err := Encode(cmd)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, cmd) {
			t.Errorf("%T came back as %+v, %v", cmd, got, err)
		}
		seen[cmd.Kind()] = true
	}
	for kind, fresh := range blank {
		if fresh().Kind() != kind {
			t.Errorf("kind %d makes a command of kind %d", kind, fresh().Kind())
		}
		if !seen[kind] {
			t.Errorf("no sample of kind %d", kind)
		}
	}
}

// The bytes in old logs: this test may gain lines and lose none.
func TestCommandBytesStay(t *testing.T) {
	for want, cmd := range map[string]Command{
		"\x01\x00\x34\x00\x00" + `{"id":"n1"}`:                               &RemoveNode{"n1"},
		"\x01\x00\x1f\x00\x00" + `{"project":"default","id":"k","now_ms":7}`: &RevokeKey{DefaultProject, "k", 7},
	} {
		if b, err := Encode(cmd); err != nil || string(b) != want {
			t.Errorf("%T is %q, %v; want %q", cmd, b, err, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		bytes string
		want  error
	}{
		"empty":           {"", ErrBadCommand},
		"short":           {"\x01\x00\x34\x00", ErrBadCommand},
		"no payload":      {"\x01\x00\x34\x00\x00", ErrBadCommand},
		"newer format":    {"\x02\x00\x34\x00\x00{}", ErrUnknownCommand},
		"unknown kind":    {"\x01\xff\xff\x00\x00{}", ErrUnknownCommand},
		"unknown field":   {"\x01\x00\x34\x00\x00" + `{"id":"n","more":1}`, ErrBadCommand},
		"wrong type":      {"\x01\x00\x34\x00\x00" + `{"id":7}`, ErrBadCommand},
		"bytes behind it": {"\x01\x00\x34\x00\x00" + `{"id":"n"}{}`, ErrBadCommand},
	} {
		if cmd, err := Decode([]byte(c.bytes)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v; want %v", name, cmd, err, c.want)
		}
	}
}

func TestIgnorableCommandIsSkipped(t *testing.T) {
	w := newWorld(t)
	before := tables(t, w.store)
	cmd, err := Decode([]byte("\x01\xff\xff\x00\x01whatever"))
	if err != nil || cmd.Kind() != 0xffff {
		t.Fatalf("Decode: %v, %v", cmd, err)
	}
	if err := w.store.Apply(99, cmd); err != nil || tables(t, w.store) != before || w.store.Snapshot().Index() != 99 {
		t.Errorf("a skipped command: %v, index %d", err, w.store.Snapshot().Index())
	}
}

func TestEncodeBoundsSize(t *testing.T) {
	v := sampleVersion("v1", "smol")
	v.Files[0].Path = strings.Repeat("x", CommandMax)
	if _, err := Encode(&AddModelVersion{v}); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if _, err := Decode(make([]byte, CommandMax+1)); !errors.Is(err, ErrBadCommand) {
		t.Errorf("Decode of as much: %v, want ErrBadCommand", err)
	}
}

// Any bytes decode to a command or an error, the command applies without a panic and
// leaves no broken invariant.
func FuzzDecode(f *testing.F) {
	for _, cmd := range sampleCommands() {
		b, err := Encode(cmd)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x01\xff\xff\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cmd, err := Decode(b)
		if err != nil {
			return
		}
		w := newWorld(t)
		err = w.store.Apply(100, cmd)
		if broken := w.store.Check(); broken != nil {
			t.Fatalf("%T %+v: %v, left %v", cmd, cmd, err, broken)
		}
		if _, ok := cmd.(skipped); ok {
			return
		}
		again, err := Encode(cmd)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("%q encodes to %q, which does not decode: %v", b, again, err)
		}
		if twice, _ := Encode(back); !bytes.Equal(again, twice) {
			t.Fatalf("%q and %q", again, twice)
		}
	})
}
