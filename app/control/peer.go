package control

import (
	"fmt"
	"net"
)

// PeerUID asks the kernel which user runs the process at the other end.
func PeerUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("peer credentials: %w", err)
	}
	var uid int
	var credErr error
	err = raw.Control(func(fd uintptr) {
		uid, credErr = credentialUID(int(fd))
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return 0, fmt.Errorf("peer credentials: %w", err)
	}
	return uid, nil
}

// clientAllowed is the server's rule: its own user, and root, who could read its memory anyway.
func clientAllowed(self, peer int) bool {
	return peer == self || peer == 0
}

// serverTrusted is the client's rule: a worker of its own user. Root asks whomever the checked directory belongs to,
// and a worker of root is never an impostor.
func serverTrusted(self, peer int) bool {
	return peer == self || peer == 0 || self == 0
}
