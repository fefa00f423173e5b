package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Place is where a SQLite file is, or would be made.
type Place struct {
	// Exists tells that the file is there. Owner is the user it belongs to, or
	// its directory does while it is not.
	Exists bool
	Owner  int
	// Writable tells that this user may write the file, or make it.
	Writable bool
	// Dir is the nearest directory above the file that is there. Beside the file
	// SQLite keeps its journal, so it must be writable as well.
	Dir         string
	DirWritable bool
	// Free is what is left of the disk for this user, in bytes.
	Free uint64
	// Network names a file system of other hosts, whose locks SQLite cannot
	// rely on; empty for a disk of this one.
	Network string
}

// PlaceOf looks at where the file is, and changes nothing.
func PlaceOf(path string) (Place, error) {
	place := Place{Dir: filepath.Dir(path)}
	looked := path
	info, err := os.Stat(path)
	place.Exists = err == nil
	for errors.Is(err, fs.ErrNotExist) {
		place.Dir, looked = filepath.Dir(looked), filepath.Dir(looked)
		info, err = os.Stat(looked)
		if looked == filepath.Dir(looked) {
			break
		}
	}
	if err != nil {
		return place, fmt.Errorf("look at %s: %w", looked, err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		place.Owner = int(stat.Uid)
	}
	place.DirWritable = unix.Access(place.Dir, unix.W_OK|unix.X_OK) == nil
	place.Writable = place.DirWritable
	if place.Exists {
		place.Writable = unix.Access(path, unix.W_OK|unix.R_OK) == nil
	}
	var volume unix.Statfs_t
	if err := unix.Statfs(place.Dir, &volume); err != nil {
		return place, fmt.Errorf("look at %s: %w", place.Dir, err)
	}
	place.Free, place.Network = freeOf(&volume), networkOf(&volume)
	return place, nil
}
