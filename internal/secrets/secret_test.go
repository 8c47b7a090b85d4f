package secrets

import (
	"bytes"
	"crypto/rand"
	"io"
	"regexp"
	"strings"
	"testing"
)

func TestNewKeyFormat(t *testing.T) {
	form := regexp.MustCompile(`^sk-nf-[0-9A-Za-z]{43}$`)
	seen := map[string]bool{}
	for range 1000 {
		k, err := NewKey(rand.Reader)
		if err != nil || !form.MatchString(k) {
			t.Fatalf("key %q, %v", k, err)
		}
		if seen[k] {
			t.Fatal("the same key twice")
		}
		seen[k] = true
	}
}

func TestLettersAreEquallyLikely(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	s, err := Text(bytes.NewReader(all[:]), 248)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range alphabet {
		if n := strings.Count(s, string(c)); n != 4 {
			t.Errorf("letter %c drawn %d times from all byte values, want 4", c, n)
		}
	}
}

func TestNoRandomBytes(t *testing.T) {
	if _, err := Text(strings.NewReader("few"), 8); err == nil || err == io.EOF {
		t.Errorf("got %v, want a wrapped error", err)
	}
}

func TestHashAndHint(t *testing.T) {
	if got, want := Hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("Hash = %s, want %s", got, want)
	}
	k := "sk-nf-" + strings.Repeat("x", 39) + "Wxyz"
	if got, want := Hint(k), "sk-nf-xx...Wxyz"; got != want {
		t.Errorf("Hint = %s, want %s", got, want)
	}
	if got := Hint("short"); got != "..." {
		t.Errorf("Hint of a short secret = %s", got)
	}
}
