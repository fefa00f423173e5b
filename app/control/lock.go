package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockMode = 0o600

	// A client or a starting neighbour that looks whether a worker lives holds the lock for an instant.
	lockPatience = 250 * time.Millisecond
	lockRetry    = 10 * time.Millisecond
)

var errHeld = errors.New("lock is held")

// A fileLock is held from acquire to release, or until the process ends in whatever way.
type fileLock struct {
	file *os.File
}

func acquireSoon(path string) (*fileLock, error) {
	deadline := time.NewTimer(lockPatience)
	defer deadline.Stop()
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		lock, err := acquire(path)
		if !errors.Is(err, errHeld) {
			return lock, err
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			return nil, err
		}
	}
}

func acquire(path string) (*fileLock, error) {
	file, err := openLock(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := flock(file, unix.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, err
	}
	// The holder before us removes the file as it leaves: a lock on what is no longer there guards nothing.
	if !isAt(file, path) {
		_ = file.Close()
		return nil, errHeld
	}
	return &fileLock{file: file}, nil
}

// release removes the file before it lets go, so that nobody locks a name that is about to vanish.
func (l *fileLock) release() error {
	var err error
	if l.stands() {
		err = os.Remove(l.file.Name())
	}
	return errors.Join(err, l.file.Close())
}

// stands reports whether the lock still guards its name. It does not once somebody removed the file; then the name, and
// the socket with it, may be another worker's.
func (l *fileLock) stands() bool {
	return isAt(l.file, l.file.Name())
}

// held reports whether a live process holds the lock; it leaves the file as it was.
func held(path string) bool {
	file, err := openLock(path, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // opened to look at
	return errors.Is(flock(file, unix.LOCK_SH), errHeld)
}

func openLock(path string, flags int) (*os.File, error) {
	// O_NONBLOCK: a pipe in the place of the file must not hold us up.
	file, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, lockMode) //nolint:gosec // the path is made of checked names
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, fmt.Errorf("%w: %s is not a regular file and is left alone: move it away", ErrConfig, path)
	}
	return file, nil
}

func flock(file *os.File, how int) error {
	err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errHeld
	case err != nil:
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return nil
}

func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// sweep removes what workers that died left behind: their names are process ids by default and rarely come again.
// It is housekeeping; what cannot be removed stays.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		name, isLock := strings.CutSuffix(entry.Name(), lockSuffix)
		if !isLock {
			continue
		}
		lock, err := acquire(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue
		}
		_ = clearSocket(filepath.Join(dir, name+socketSuffix))
		_ = lock.release()
	}
}
