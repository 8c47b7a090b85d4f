package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
	"github.com/nanofleet/nanofleet/wire"
)

// held is the desired state at hand and the coordinator that gave it.
type held struct {
	from    string // node id
	desired *wire.Desired
}

// yields tells whether a statement replaces the one at hand. See the package comment.
func (h held) yields(from string, d *wire.Desired) bool {
	return h.desired == nil || from == h.from || d.GetRevision() >= h.desired.GetRevision()
}

// heldFile is the form on disk: JSON, which an operator can read.
type heldFile struct {
	From    string          `json:"from"`
	Desired json.RawMessage `json:"desired"`
}

func (l *Link) heldPath() string { return filepath.Join(l.cfg.Dir, "desired.json") }

// take keeps a statement and hands it over, unless a newer one is at hand.
func (l *Link) take(from string, d *wire.Desired, host Host) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held.yields(from, d) {
		return false
	}
	l.held = held{from, d}
	if err := l.held.save(l.heldPath()); err != nil {
		l.log.Error("cannot keep the desired state; a restart without a coordinator would miss it", "error", err)
	}
	host.Apply(d)
	return true
}

func (h held) save(path string) error {
	d, err := protojson.Marshal(h.desired)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	b, err := json.Marshal(heldFile{From: h.from, Desired: d})
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return atomicfile.Write(path, b, 0o600)
}

// loadHeld reads what save wrote; nothing when there is no file.
func loadHeld(path string) (held, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return held{}, nil
	}
	if err != nil {
		return held{}, fmt.Errorf("link: %w", err)
	}
	var f heldFile
	if err := json.Unmarshal(b, &f); err != nil {
		return held{}, fmt.Errorf("link: %s: %w", path, err)
	}
	d := &wire.Desired{}
	// A newer binary may have known more fields.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(f.Desired, d); err != nil {
		return held{}, fmt.Errorf("link: %s: %w", path, err)
	}
	return held{f.From, d}, nil
}
