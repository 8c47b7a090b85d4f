package logstore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("LOGSTORE_APPEND_TO"); path != "" {
		appendForever(path)
	}
	os.Exit(m.Run())
}

// appendForever says on stdout which index is on the disk.
func appendForever(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	next, err := s.LastIndex()
	for err == nil {
		err = s.StoreLogs(entries(next+1, next+7, 1))
		next += 7
		fmt.Println("stored", next)
	}
	fmt.Println(err)
	os.Exit(1)
}

// kill -9 in the middle of appends, again and again on the same file: everything that
// was acknowledged is there, and the file is sound.
func TestKilledWhileAppending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	var acked uint64
	for round := range 10 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LOGSTORE_APPEND_TO="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 5 + round {
			if !lines.Scan() {
				t.Fatal("the child ended by itself")
			}
			if _, err := fmt.Sscanf(lines.Text(), "stored %d", &acked); err != nil {
				t.Fatalf("child says %q", lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it acknowledged before the signal came
			if _, err := fmt.Sscanf(lines.Text(), "stored %d", &acked); err != nil {
				t.Fatalf("child says %q", lines.Text())
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("a killed child ended well")
		}
		s := openAt(t, path)
		last, err := s.LastIndex()
		if err != nil || last < acked {
			t.Fatalf("round %d: last index %d, %v; %d was acknowledged", round, last, err, acked)
		}
		holds(t, s, 1, last)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	pageSize = 4096
	sector   = 512
)

// A power cut during a transaction leaves any part of its data pages, or all of them
// and any part of its meta page, since bbolt syncs the file between the two. From the
// first comes the log before the transaction, from the second that or the one after.
func TestPowerCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openAt(t, path)
	store(t, s, entries(1, 40, 1)...)
	rng := rand.New(rand.NewPCG(1, 2))
	last := uint64(40)
	for range 30 {
		before := read(t, path)
		store(t, s, entries(last+1, last+3, 1)...)
		after := read(t, path)
		before = append(before, make([]byte, len(after)-len(before))...)
		for range 4 {
			survives(t, tear(rng, before, after, isData), last, last)
			whole := tear(rng, before, after, func(at int) bool { return false })
			copyWhere(whole, after, isData)
			survives(t, tear(rng, whole, after, func(at int) bool { return !isData(at) }), last, last+3)
		}
		last += 3
	}
}

// isData tells whether a byte lies behind the two meta pages.
func isData(at int) bool { return at >= 2*pageSize }

func copyWhere(dst, src []byte, where func(at int) bool) {
	for at := 0; at < len(src); at += sector {
		if where(at) {
			copy(dst[at:at+sector], src[at:])
		}
	}
}

// tear copies each sector that differs and that where allows with even odds.
func tear(rng *rand.Rand, before, after []byte, where func(at int) bool) []byte {
	out := bytes.Clone(before)
	copyWhere(out, after, func(at int) bool { return where(at) && rng.IntN(2) == 0 })
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// survives opens a torn file: its log ends at one of the two indexes and takes more.
func survives(t *testing.T, file []byte, either, or uint64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "torn.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	last, err := s.LastIndex()
	if err != nil || last != either && last != or {
		t.Fatalf("log ends at %d, %v; want %d or %d", last, err, either, or)
	}
	holds(t, s, 1, last)
	store(t, s, entry(last+1, 1))
	if err := errors.Join(s.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
}

// A file cut short anywhere is refused, or was cut where nothing lay.
func TestTruncatedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openAt(t, path)
	store(t, s, entries(1, 200, 1)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good := read(t, path)
	for size := len(good) - 1; size > 0; size -= 1777 {
		if err := os.WriteFile(path, good[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			continue
		}
		holds(t, s, 1, 200)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
