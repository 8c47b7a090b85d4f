package server

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sameUser refuses a peer that runs as another user than we do.
func sameUser(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("peer credentials: %w", err)
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return fmt.Errorf("peer credentials: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("peer credentials: %w", failed)
	}
	if own := os.Geteuid(); int(peer.Uid) != own {
		return fmt.Errorf("peer credentials: uid %d (pid %d), must be %d", peer.Uid, peer.Pid, own)
	}
	return nil
}
