package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
	"github.com/nanofleet/nanofleet/internal/svc"
	"github.com/nanofleet/nanofleet/wire"
)

// instanceForm keeps ids safe in file names and short enough for a socket's path.
var instanceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// files are where the runner keeps what the next agent needs.
type files struct {
	run, log string
	handle   *os.File // of run
}

func openFiles(data string) (*files, error) {
	f := &files{run: filepath.Join(data, "run"), log: filepath.Join(data, "log")}
	for _, dir := range []string{f.run, f.log} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
	}
	var err error
	if f.handle, err = os.Open(f.run); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	return f, nil
}

func (f *files) close() { f.handle.Close() }

func (f *files) pid(instance string) string     { return filepath.Join(f.run, instance+".pid") }
func (f *files) record(instance string) string  { return filepath.Join(f.run, instance+".json") }
func (f *files) logFile(instance string) string { return filepath.Join(f.log, instance+".log") }

// socket is the path that an engine binds, relative to the run directory.
func socket(instance string) string { return instance + ".sock" }

// dial connects to an engine's socket; see the package comment.
func (f *files) dial(ctx context.Context, instance string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", f.handle.Fd(), socket(instance)))
}

// remove forgets an instance whose process has ended.
func (f *files) remove(instance string) error {
	var errs []error
	for _, path := range []string{f.pid(instance), f.record(instance), filepath.Join(f.run, socket(instance))} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// record says what an engine was started for.
type record struct {
	Spec     string `json:"spec"` // digest of the InstanceSpec
	Path     string `json:"path"` // of the model
	Restarts uint32 `json:"restarts,omitempty"`
}

func (f *files) writeRecord(instance string, r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.Write(f.record(instance), b, 0o600)
}

// specDigest tells specs apart. It is compared on one host and between builds: where
// a build encodes differently the engine is started anew, which does no harm.
func specDigest(spec *wire.InstanceSpec) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("runner: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// leftover is an engine that an earlier agent started and that still runs.
type leftover struct {
	instance string
	process  svc.Process
	record   record
}

// leftovers finds the engines that still run and clears away what the others left.
func (f *files) leftovers() (map[string]*leftover, error) {
	found := map[string]*leftover{}
	pids, err := filepath.Glob(filepath.Join(f.run, "*.pid"))
	if err != nil {
		return nil, err
	}
	for _, path := range pids {
		instance := strings.TrimSuffix(filepath.Base(path), ".pid")
		p, err := svc.ReadPID(path)
		if err != nil {
			if err := f.remove(instance); err != nil {
				return nil, fmt.Errorf("runner: %w", err)
			}
			continue
		}
		l := &leftover{instance: instance, process: p}
		// Without a record it matches no spec and is stopped.
		if b, err := os.ReadFile(f.record(instance)); err == nil {
			_ = json.Unmarshal(b, &l.record)
		}
		found[instance] = l
	}
	return found, nil
}
