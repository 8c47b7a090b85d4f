package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanofleet/nanofleet/internal/blob"
	"github.com/nanofleet/nanofleet/wire"
)

var versionForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$`)

// filesAtOnce bounds the files of a version that are fetched at the same time.
const filesAtOnce = 2

// Pull brings a version's files and gives the path to load: the GGUF file where there
// is one, else the directory. Sources are asked in the order given. What is here
// already is not fetched, and two pulls that need the same bytes share one download.
// progress is called with growing numbers of bytes and may be nil.
func (s *Store) Pull(ctx context.Context, version string, m *wire.Manifest, sources []Source, progress func(done, total uint64)) (string, error) {
	files, entries, err := read(version, m)
	if err != nil {
		return "", fmt.Errorf("store: version %.80q: %w", version, err)
	}
	defer s.Pin(version)()
	s.want(files, 1)
	defer s.want(files, -1)
	track := newTracker(files, progress)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	for _, f := range files {
		g.Go(func() error { return s.fetch(gctx, f, sources, func(have uint64) { track.set(f.Digest, have) }) })
	}
	if err := g.Wait(); err != nil {
		return "", fmt.Errorf("store: version %s: %w", version, err)
	}
	path, err := s.layOut(version, files, entries)
	if err != nil {
		return "", fmt.Errorf("store: version %s: %w", version, err)
	}
	return path, nil
}

// layOut links the files and pins the blobs in the version's name.
func (s *Store) layOut(version string, files []blob.File, entries []blob.Entry) (string, error) {
	path, err := s.blobs.Assemble(filepath.Join(s.versions, version), entries)
	if err != nil {
		return "", err
	}
	var digests []string
	for _, f := range files {
		digests = append(digests, f.Digest)
	}
	return path, s.blobs.Pin(version, time.Now(), digests...)
}

// want counts the pulls that need these bytes, so that eviction leaves them.
func (s *Store) want(files []blob.File, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range files {
		if s.wanted[f.Digest] += by; s.wanted[f.Digest] == 0 {
			delete(s.wanted, f.Digest)
		}
	}
}

// read checks a manifest and gives its distinct blobs and its names.
func read(version string, m *wire.Manifest) (files []blob.File, entries []blob.Entry, err error) {
	if !versionForm.MatchString(version) {
		return nil, nil, fmt.Errorf("version id must match %s", versionForm)
	}
	if len(m.GetFiles()) == 0 {
		return nil, nil, errors.New("its manifest names no file")
	}
	var paths []string
	seen := map[string]bool{}
	for _, w := range m.GetFiles() {
		f := blob.File{Digest: w.GetDigest(), Size: w.GetSize(), ChunkSize: w.GetChunkSize()}
		for n, c := range w.GetChunks() {
			if len(c) != 32 {
				return nil, nil, fmt.Errorf("%.200q: digest of chunk %d has %d bytes, want 32", w.GetPath(), n, len(c))
			}
			f.Chunks = append(f.Chunks, blob.Sum(c))
		}
		if err := f.Check(); err != nil {
			return nil, nil, fmt.Errorf("%.200q: %w", w.GetPath(), err)
		}
		if !seen[f.Digest] {
			files = append(files, f)
		}
		seen[f.Digest] = true
		paths = append(paths, w.GetPath())
		entries = append(entries, blob.Entry{Path: w.GetPath(), Digest: f.Digest})
	}
	return files, entries, blob.CheckPaths(paths)
}

// tracker adds up the progress of a version's files.
type tracker struct {
	mu          sync.Mutex
	have        map[string]uint64
	done, total uint64
	tell        func(done, total uint64)
}

func newTracker(files []blob.File, tell func(done, total uint64)) *tracker {
	t := &tracker{have: map[string]uint64{}, tell: tell}
	for _, f := range files {
		t.total += f.Size
	}
	return t
}

func (t *tracker) set(digest string, have uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have < t.have[digest] {
		return // a download that began again; people saw more already
	}
	t.done += have - t.have[digest]
	t.have[digest] = have
	if t.tell != nil {
		t.tell(t.done, t.total)
	}
}
