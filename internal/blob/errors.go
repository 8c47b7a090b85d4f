package blob

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Errors of a Store; match them with errors.Is.
var (
	// ErrMismatch is returned for bytes that do not have the digest they should have.
	ErrMismatch = errors.New("blob: digest does not match")
	// ErrInvalid is returned for a description that cannot be: a malformed digest, a
	// chunk that the file does not have.
	ErrInvalid = errors.New("blob: invalid")
	// ErrNotFound is returned for a blob that is not here, or not complete.
	ErrNotFound = errors.New("blob: not here")
	// ErrIncomplete is returned by Commit while chunks are missing.
	ErrIncomplete = errors.New("blob: chunks are missing")
	// ErrBusy is returned while a writer of the digest is open.
	ErrBusy = errors.New("blob: being written")
	// ErrPinned is returned by Delete for a blob that a pin holds.
	ErrPinned = errors.New("blob: pinned")
	// ErrClosed is returned by a writer after Close.
	ErrClosed = errors.New("blob: writer is closed")
	// ErrLocked is returned by Open while another process has the directory.
	ErrLocked = errors.New("blob: in use by another process")
	// ErrFormat is returned by Open for an index of a newer version.
	ErrFormat = errors.New("blob: index format not known to this build")

	errCorrupt = errors.New("corrupt record")
)

// NoSpaceError says that the disk cannot take a blob. Nothing was lost: the transfer
// goes on once there is room.
type NoSpaceError struct {
	Need uint64 // bytes still to be written
	Free uint64 // bytes that may be used, the reserve not counted
}

// Error names both counts.
func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("blob: no space: %d bytes needed, %d free beyond the reserve of %d", e.Need, e.Free, uint64(reserve))
}

// noSpace makes a NoSpaceError of the disk's own refusal.
func (s *Store) noSpace(err error, need uint64) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	free, ferr := s.free(s.dir)
	if ferr != nil {
		free = 0
	}
	return &NoSpaceError{Need: need, Free: free}
}
