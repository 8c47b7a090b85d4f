package state

import (
	"reflect"
	"strings"
	"testing"
)

// Versions that were recorded before origins were are read, and written as they were.
func TestVersionsWithoutOrigin(t *testing.T) {
	cmd := &AddModelVersion{sampleVersion("v1", "smol")}
	b, err := Encode(cmd)
	if err != nil || strings.Contains(string(b), "origin") {
		t.Fatalf("%s, %v", b, err)
	}
	if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, cmd) {
		t.Errorf("came back as %+v, %v", got, err)
	}
}

func TestOrigin(t *testing.T) {
	v := sampleVersion("v1", "smol")
	v.Origin = Origin{Source: "hf:org/name", Revision: strings.Repeat("a", 40), Licence: "apache-2.0"}
	s := New()
	if err := s.Apply(1, &AddModelVersion{v}); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Snapshot().Version("v1"); got.Origin != v.Origin {
		t.Errorf("origin %+v", got.Origin)
	}
	for field, origin := range map[string]Origin{"origin.source": {Source: strings.Repeat("x", 257)},
		"origin.revision": {Revision: "\xff"}, "origin.licence": {Licence: strings.Repeat("x", 257)}} {
		bad := sampleVersion("v2", "smol")
		bad.Origin = origin
		if err := s.Apply(2, &AddModelVersion{bad}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
