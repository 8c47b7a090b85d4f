package auth

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/secrets"
)

func TestAuthenticate(t *testing.T) {
	store := state.New()
	secret, other := newKey(t), newKey(t)
	apply(t, store, 1, &state.CreateKey{Key: key("k1", secret)})
	a := New(store.Snapshot)
	for name, c := range map[string]struct {
		header string
		err    error
	}{
		"right":            {"Bearer " + secret, nil},
		"scheme's case":    {"bearer " + secret, nil},
		"none":             {"", ErrNoKey},
		"no scheme":        {secret, ErrNoKey},
		"other scheme":     {"Basic " + secret, ErrNoKey},
		"empty credential": {"Bearer  ", ErrNoKey},
		"huge":             {"Bearer " + strings.Repeat("x", 1<<20), ErrNoKey},
		"another key":      {"Bearer " + other, ErrBadKey},
		"a prefix of it":   {"Bearer " + secret[:20], ErrBadKey},
		"one char more":    {"Bearer " + secret + "x", ErrBadKey},
		"its hash":         {"Bearer " + secrets.Hash(secret), ErrBadKey},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := a.Authenticate(c.header)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err == nil && (id.KeyID != "k1" || id.Project != state.DefaultProject || id.Role != state.RoleUser) {
				t.Errorf("identity %+v", id)
			}
		})
	}
	apply(t, store, 2, &state.RevokeKey{Project: state.DefaultProject, ID: "k1", NowMS: 5})
	if _, err := a.Authenticate("Bearer " + secret); !errors.Is(err, ErrRevoked) {
		t.Errorf("a revoked key: %v", err)
	}
}

func key(id, secret string) state.Key {
	return state.Key{ID: id, Project: state.DefaultProject, Name: "n", Role: state.RoleUser, Hash: secrets.Hash(secret), Hint: secrets.Hint(secret), CreatedMS: 1}
}

func apply(t *testing.T, s *state.Store, index uint64, cmd state.Command) {
	t.Helper()
	if err := s.Apply(index, cmd); err != nil {
		t.Fatal(err)
	}
}

func newKey(tb testing.TB) string {
	tb.Helper()
	s, err := secrets.NewKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func BenchmarkAuthenticate(b *testing.B) {
	store := state.New()
	secret := newKey(b)
	if err := store.Apply(1, &state.CreateKey{Key: key("k1", secret)}); err != nil {
		b.Fatal(err)
	}
	a := New(store.Snapshot)
	header := "Bearer " + secret
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(header); err != nil {
			b.Fatal(err)
		}
	}
}
