package pki

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nanofleet/nanofleet/internal/secrets"
)

// Token lets a node join once: nf1.<sha256 of CA key, hex>.<id>.<secret>.
type Token struct {
	CAHash [32]byte // of the authority's public key
	ID     string   // names the token; no secret
	Secret string   // at least 128 random bits
}

// ErrBadToken is returned by ParseToken; its text never holds the token's secret.
var ErrBadToken = errors.New("join token")

const (
	tokenVersion   = "nf1"
	tokenIDLen     = 10
	tokenSecretLen = 32 // 190 bits
	tokenPartMax   = 128
)

// NewToken draws a token for the fleet of that authority.
func NewToken(caHash [32]byte, rand io.Reader) (Token, error) {
	text, err := secrets.Text(rand, tokenIDLen+tokenSecretLen)
	if err != nil {
		return Token{}, err
	}
	return Token{CAHash: caHash, ID: text[:tokenIDLen], Secret: text[tokenIDLen:]}, nil
}

// String is the form people pass on: it holds the secret.
func (t Token) String() string {
	return strings.Join([]string{tokenVersion, hex.EncodeToString(t.CAHash[:]), t.ID, t.Secret}, ".")
}

// SecretHash is what the coordinator keeps: hex sha256.
func (t Token) SecretHash() string { return secrets.Hash(t.Secret) }

// Matches tells in constant time whether the secret's hash is this one.
func (t Token) Matches(secretHash string) bool {
	return subtle.ConstantTimeCompare([]byte(t.SecretHash()), []byte(secretHash)) == 1
}

// ParseToken reads a token; white space around it is ignored.
func ParseToken(s string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(s), ".")
	if len(parts) != 4 {
		return Token{}, fmt.Errorf("%w has %d parts, want 4 joined by dots (nf1.<hash>.<id>.<secret>)", ErrBadToken, len(parts))
	}
	if parts[0] != tokenVersion {
		return Token{}, fmt.Errorf("%w starts with %q, want %q", ErrBadToken, clip(parts[0]), tokenVersion)
	}
	hash, err := hex.DecodeString(parts[1])
	if err != nil || len(hash) != 32 {
		return Token{}, fmt.Errorf("%w: second part is not a sha256 in hex", ErrBadToken)
	}
	for i, name := range []string{"id", "secret"} {
		if p := parts[2+i]; !isText(p) || len(p) > tokenPartMax {
			return Token{}, fmt.Errorf("%w: %s is not 1 to %d letters and digits", ErrBadToken, name, tokenPartMax)
		}
	}
	return Token{CAHash: [32]byte(hash), ID: parts[2], Secret: parts[3]}, nil
}

func clip(s string) string { return s[:min(len(s), 8)] }

func isText(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}
