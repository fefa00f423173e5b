package control

import "golang.org/x/sys/unix"

// The kernel takes 104 bytes with the zero at the end.
const maxPath = 103

func credentialUID(fd int) (int, error) {
	credentials, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(credentials.Uid), nil
}
