package control

import "golang.org/x/sys/unix"

// The kernel takes 107 bytes; 104 is what other systems and tools can name too.
const maxPath = 104

func credentialUID(fd int) (int, error) {
	credentials, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(credentials.Uid), nil
}
