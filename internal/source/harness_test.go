package source

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// sawToken is what nobody answers.
type sawToken struct{ token string }

func (e *sawToken) Error() string { return fmt.Sprintf("saw %q", e.token) }

// nobody answers no request, and says what credentials it saw.
type nobody struct{}

func (nobody) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &sawToken{r.Header.Get("Authorization")}
}

func lock(t *testing.T, f *os.File) {
	t.Helper()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
}
