package storage

import "golang.org/x/sys/unix"

func freeOf(volume *unix.Statfs_t) uint64 { return volume.Bavail * uint64(volume.Bsize) }

// networkOf names the file systems of other hosts.
func networkOf(volume *unix.Statfs_t) string {
	switch name := unix.ByteSliceToString(volume.Fstypename[:]); name {
	case "nfs", "smbfs", "afpfs", "webdav":
		return name
	}
	return ""
}
