package pki

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

func TestTokenRoundTrip(t *testing.T) {
	tok, err := NewToken([32]byte{1, 2, 3}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseToken("\n " + tok.String() + " \n")
	if err != nil || got != tok {
		t.Errorf("ParseToken = %+v, %v; want %+v", got, err, tok)
	}
	if !tok.Matches(tok.SecretHash()) || tok.Matches(strings.Repeat("0", 64)) || tok.Matches("") {
		t.Error("Matches is not for the secret's hash alone")
	}
}

func TestParseTokenRefuses(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, s := range []string{
		"", ".", "nf1", "nf1." + hash + ".id", "nf2." + hash + ".id.S3CRET", "nf1." + hash[2:] + ".id.S3CRET",
		"nf1." + hash + "00.id.S3CRET", "nf1.zz" + hash[2:] + ".id.S3CRET", "nf1." + hash + "..S3CRET", "nf1." + hash + ".id.",
		"nf1." + hash + ".i/d.S3CRET", "nf1." + hash + ".id.S3CRET.more", "nf1." + hash + ".id.S3CR ET",
		"nf1." + hash + ".id." + strings.Repeat("S3CRET", 99), "NF1." + hash + ".id.S3CRET", "nf1." + hash + ".id.S3CRETé",
	} {
		_, err := ParseToken(s)
		if !errors.Is(err, ErrBadToken) {
			t.Errorf("ParseToken(%q): %v, want ErrBadToken", s, err)
		} else if strings.Contains(err.Error(), "S3CR") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("nf1." + strings.Repeat("ab", 32) + ".id.secret")
	f.Add("nf1...")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err != nil {
			return
		}
		if again, err := ParseToken(tok.String()); err != nil || again != tok {
			t.Errorf("%q parsed to %+v, which does not come back: %v", s, tok, err)
		}
	})
}
