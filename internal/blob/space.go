package blob

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve is what a store leaves free for others on the same disk: logs, the index,
// the raft log of a coordinator.
const reserve = 64 << 20

// freeBytes is what a store may still use of the disk that holds dir.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	free := st.Bavail * uint64(st.Bsize)
	return free - min(free, reserve), nil
}

// allocate gives the file its full size and, where the file system can, the blocks for
// it, so that a full disk shows before the transfer and not in its middle.
func allocate(f *os.File, size uint64) error {
	if size == 0 {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), 0, 0, int64(size))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.Truncate(int64(size)) // sparse: writing may still meet a full disk
	}
	return err
}

// allocated is how many bytes of disk a file already has.
func allocated(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return uint64(st.Blocks) * 512, nil
}
