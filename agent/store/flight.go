package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nanofleet/nanofleet/internal/blob"
)

const (
	chunksAtOnce  = 4
	bytesInFlight = 64 << 20 // memory that one download may take
	rounds        = 2        // how often each source is asked for a chunk
)

// flight is one download of one blob, for everybody who waits for it. It ends when
// nobody does.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
	left   bool  // its last waiter has gone; guarded by Store.mu

	mu      sync.Mutex
	have    uint64
	waiters map[*waiter]struct{}
}

// waiter is a pull that waits for a flight.
type waiter struct{ tell func(have uint64) }

// fetch returns once the blob is here.
func (s *Store) fetch(ctx context.Context, f blob.File, sources []Source, tell func(have uint64)) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.blobs.Has(f.Digest) {
			tell(f.Size)
			return s.blobs.Matches(f)
		}
		fl, w := s.join(f, sources, tell)
		select {
		case <-ctx.Done():
			s.leave(fl, w)
			return ctx.Err()
		case <-fl.done:
		}
		if fl.err != nil && !s.abandoned(fl) {
			return fl.err
		}
	}
}

// abandoned tells whether a flight ended because its waiters had left; whoever came
// after that begins another.
func (s *Store) abandoned(fl *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fl.left
}

// join gives the download of f, beginning it when there is none.
func (s *Store) join(f blob.File, sources []Source, tell func(uint64)) (*flight, *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fl := s.flights[f.Digest]
	if fl == nil {
		ctx, cancel := context.WithCancel(context.Background())
		fl = &flight{cancel: cancel, done: make(chan struct{}), waiters: map[*waiter]struct{}{}}
		s.flights[f.Digest] = fl
		go s.fly(ctx, fl, f, sources)
	}
	w := &waiter{tell}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.waiters[w] = struct{}{}
	return fl, w
}

// leave ends a flight that nobody waits for any more.
func (s *Store) leave(fl *flight, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if delete(fl.waiters, w); len(fl.waiters) == 0 {
		fl.left = true
		fl.cancel()
	}
}

// fly runs a flight to its end.
func (s *Store) fly(ctx context.Context, fl *flight, f blob.File, sources []Source) {
	defer fl.cancel()
	err := s.download(ctx, fl, f, sources)
	s.mu.Lock()
	delete(s.flights, f.Digest)
	s.mu.Unlock()
	fl.err = err
	close(fl.done)
}

// add tells the waiters of bytes that came.
func (fl *flight) add(n uint64) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.have += n
	for w := range fl.waiters {
		w.tell(fl.have)
	}
}

// download fetches the missing chunks and makes the blob.
func (s *Store) download(ctx context.Context, fl *flight, f blob.File, sources []Source) error {
	w, err := s.begin(f)
	if err != nil {
		return err
	}
	missing := w.Missing()
	have := f.Size
	for _, n := range missing {
		_, length := f.ChunkRange(n)
		have -= length
	}
	fl.add(have)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, min(chunksAtOnce, bytesInFlight/int(f.ChunkSize))))
	for _, n := range missing {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return fetchChunk(ctx, fl, w, n, sources) })
	}
	if err := errors.Join(g.Wait(), context.Cause(ctx)); err != nil && len(w.Missing()) > 0 {
		return errors.Join(err, w.Close())
	}
	return w.Commit()
}

// begin opens the blob for writing, making room when the disk is full.
func (s *Store) begin(f blob.File) (*blob.Writer, error) {
	w, err := s.blobs.Begin(f)
	var full *blob.NoSpaceError
	if !errors.As(err, &full) {
		return w, err
	}
	used, _ := s.Usage()
	short := full.Need - min(full.Need, full.Free)
	if _, everr := s.Evict(used - min(used, short)); everr != nil {
		return nil, errors.Join(err, everr)
	}
	return s.blobs.Begin(f)
}

// fetchChunk asks the sources in turn until one gives the right bytes.
func fetchChunk(ctx context.Context, fl *flight, w *blob.Writer, n int, sources []Source) error {
	f := w.File()
	offset, length := f.ChunkRange(n)
	data := make([]byte, length)
	failed := fmt.Errorf("chunk %d of %s came from none of %d sources", n, f.Digest, len(sources))
	for range rounds {
		for _, src := range sources {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := src.ReadChunk(ctx, f.Digest, offset, length, data); err != nil {
				failed = fmt.Errorf("%w; from %s: %w", failed, src, err)
				continue
			}
			err := w.WriteChunk(n, data)
			if err == nil {
				fl.add(length)
				return nil
			}
			if !errors.Is(err, blob.ErrMismatch) {
				return err // this side's fault; another source would not help
			}
			failed = fmt.Errorf("%w; from %s: %w", failed, src, err)
		}
	}
	return failed
}
