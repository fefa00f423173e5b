package cli

import "golang.org/x/sys/unix"

const getTermios = unix.TIOCGETA

// protectMemory does nothing: the system writes no core dumps by default.
func protectMemory() error { return nil }
