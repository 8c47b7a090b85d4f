package svc

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLogsDoNotGrowForEver starts on a log that is too large, and on one that is not.
func TestLogsDoNotGrowForEver(t *testing.T) {
	for name, c := range map[string]struct {
		size int64
		kept bool
	}{"large": {logMax + 1, true}, "small": {logMax, false}} {
		path := filepath.Join(t.TempDir(), "child.log")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, c.size); err != nil {
			t.Fatal(err)
		}
		f, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		f.Close()
		if err != nil || (st.Size() == 0) != c.kept {
			t.Errorf("%s: the log goes on at %d bytes (%v)", name, st.Size(), err)
		}
		if _, err := os.Stat(path + ".1"); (err == nil) != c.kept {
			t.Errorf("%s: the old log: %v", name, err)
		}
	}
}
