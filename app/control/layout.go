package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

const (
	socketSuffix = ".sock"
	lockSuffix   = ".lock"

	dirMode    = 0o700
	socketMode = 0o600
	othersMode = 0o077
)

var (
	namespacePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	instancePattern  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
)

// SocketPath returns where the socket of an instance lies. The error wraps ErrConfig: a state directory that is not
// absolute, a name with other characters than the layout allows, or a path longer than a socket address holds.
func SocketPath(stateDir, namespace, instance string) (string, error) {
	if err := checkNamespace(stateDir, namespace); err != nil {
		return "", err
	}
	if !instancePattern.MatchString(instance) {
		return "", misplaced(instanceVariable, "instance %q: want 1 to 64 letters, digits, dots, dashes or underscores, and neither dot nor dash first", instance)
	}
	path := filepath.Join(stateDir, namespace, instance+socketSuffix)
	if len(path) > maxPath {
		return "", misplaced(stateDirVariable, "%s has %d bytes, a socket path holds %d: set WORKER_STATE_DIR to a shorter directory", path, len(path), maxPath)
	}
	return path, nil
}

func checkNamespace(stateDir, namespace string) error {
	if !filepath.IsAbs(stateDir) {
		return misplaced(stateDirVariable, "state directory %q: set WORKER_STATE_DIR to an absolute path", stateDir)
	}
	if !namespacePattern.MatchString(namespace) {
		return misplaced(namespaceVariable, "namespace %q: want 1 to 32 of a-z, 0-9 and dash", namespace)
	}
	return nil
}

func lockPath(socket string) string {
	return socket[:len(socket)-len(socketSuffix)] + lockSuffix
}

// prepareDirs makes the directories that are missing and checks those that are there.
func prepareDirs(stateDir, namespace string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(stateDir)), dirMode); err != nil {
		return misplaced(stateDirVariable, "%w: set WORKER_STATE_DIR to a directory this user can make", err)
	}
	for _, dir := range []string{filepath.Clean(stateDir), filepath.Join(stateDir, namespace)} {
		if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return misplaced(stateDirVariable, "%w: set WORKER_STATE_DIR to a directory this user can make", err)
		}
		if err := checkDir(dir, os.Geteuid()); err != nil {
			return err
		}
	}
	return nil
}

// checkDir refuses a directory that anyone but its owner can reach into. It does not follow a symbolic link, which
// could be turned elsewhere after the check.
func checkDir(dir string, owner int) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return misplaced(stateDirVariable, "%w", err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return misplaced(stateDirVariable, "%s is a symbolic link: set WORKER_STATE_DIR to the directory itself", dir)
	case !info.IsDir():
		return misplaced(stateDirVariable, "%s is not a directory: set WORKER_STATE_DIR to one", dir)
	case ownerOf(info) != owner:
		return misplaced(stateDirVariable, "%s belongs to uid %d, want uid %d: set WORKER_STATE_DIR to a directory of this user", dir, ownerOf(info), owner)
	case info.Mode().Perm()&othersMode != 0 && (owner != os.Geteuid() || info.Mode()&fs.ModeSticky != 0):
		return misplaced(stateDirVariable, "%s has mode %04o, want 0700: set WORKER_STATE_DIR to a directory of this user alone", dir, info.Mode().Perm())
	case info.Mode().Perm()&othersMode != 0:
		return misplaced(stateDirVariable, "%s has mode %04o, want 0700: run chmod 700 on it, or set WORKER_STATE_DIR to a new directory below it", dir, info.Mode().Perm())
	}
	return nil
}

// readableOwner is the user whose state directory a client may trust: its own. Root may look into another's, but not
// where everybody can make directories: there the name of root's own could have been taken by someone else.
func readableOwner(stateDir string) int {
	self := os.Geteuid()
	if self != 0 {
		return self
	}
	parent, err := os.Stat(filepath.Dir(filepath.Clean(stateDir)))
	if err != nil || parent.Mode().Perm()&0o022 != 0 {
		return self
	}
	info, err := os.Lstat(stateDir)
	if err != nil {
		return self
	}
	return ownerOf(info)
}

func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// clearSocket removes a leftover socket. The caller holds its lock.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return misplaced(stateDirVariable, "%w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return misplaced(instanceVariable, "%s is not a socket and is left alone: move it away or set WORKER_INSTANCE to another name", path)
	}
	return os.Remove(path)
}
