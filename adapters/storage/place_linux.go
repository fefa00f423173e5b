package storage

import "golang.org/x/sys/unix"

func freeOf(volume *unix.Statfs_t) uint64 {
	return volume.Bavail * uint64(max(volume.Bsize, 0))
}

// networkOf names the file systems of other hosts by their magic numbers.
func networkOf(volume *unix.Statfs_t) string {
	const smb2 = 0xfe534d42
	switch uint32(volume.Type) { //nolint:gosec // the numbers have 32 bits
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.CIFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, smb2:
		return "SMB"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.AFS_SUPER_MAGIC:
		return "AFS"
	}
	return ""
}
