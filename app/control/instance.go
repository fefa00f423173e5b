package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Instance is a running worker of this host, as seen by a client.
type Instance struct {
	Name   string
	Socket string
}

// Instances returns the live workers of a namespace, by name. Sockets that dead workers left are not among them, and
// neither is anything else; a state directory that does not exist holds none. A directory that others could have
// tampered with is ErrConfig.
func Instances(stateDir, namespace string) ([]Instance, error) {
	dir, entries, err := entriesOf(stateDir, namespace)
	if err != nil {
		return nil, err
	}
	var live []Instance
	for _, entry := range entries {
		name, isSocket := strings.CutSuffix(entry.Name(), socketSuffix)
		path := filepath.Join(dir, entry.Name())
		if isSocket && entry.Type() == fs.ModeSocket && instancePattern.MatchString(name) && held(lockPath(path)) {
			live = append(live, Instance{Name: name, Socket: path})
		}
	}
	slices.SortFunc(live, func(a, b Instance) int { return strings.Compare(a.Name, b.Name) })
	return live, nil
}

// Leftovers returns the names of workers of a namespace that ended without
// taking their files away, as one that was killed does. The next worker that
// starts removes them. Errors are those of [Instances].
func Leftovers(stateDir, namespace string) ([]string, error) {
	dir, entries, err := entriesOf(stateDir, namespace)
	if err != nil {
		return nil, err
	}
	var dead []string
	for _, entry := range entries {
		name, isLock := strings.CutSuffix(entry.Name(), lockSuffix)
		if isLock && entry.Type().IsRegular() && instancePattern.MatchString(name) && !held(filepath.Join(dir, entry.Name())) {
			dead = append(dead, name)
		}
	}
	slices.Sort(dead)
	return dead, nil
}

// entriesOf returns what is in the directory of a namespace, after it was
// checked; nothing if it does not exist.
func entriesOf(stateDir, namespace string) (dir string, entries []fs.DirEntry, err error) {
	if err := checkNamespace(stateDir, namespace); err != nil {
		return "", nil, fmt.Errorf("control instances: %w", err)
	}
	stateDir = filepath.Clean(stateDir)
	owner := readableOwner(stateDir)
	dir = filepath.Join(stateDir, namespace)
	for _, d := range []string{stateDir, dir} {
		err := checkDir(d, owner)
		if errors.Is(err, fs.ErrNotExist) {
			return dir, nil, nil
		}
		if err != nil {
			return "", nil, fmt.Errorf("control instances: %w", err)
		}
	}
	entries, err = os.ReadDir(dir) // sorted by name, yet with the suffix
	if err != nil {
		return "", nil, fmt.Errorf("control instances: %w", err)
	}
	return dir, entries, nil
}

// Pick returns the instance that is wanted, or with wanted empty the only one. None is ErrNoWorker, several without a
// wish an *AmbiguousError.
func Pick(instances []Instance, wanted string) (Instance, error) {
	if wanted == "" {
		switch len(instances) {
		case 0:
			return Instance{}, ErrNoWorker
		case 1:
			return instances[0], nil
		default:
			return Instance{}, &AmbiguousError{Instances: slices.Clone(instances)}
		}
	}
	for _, instance := range instances {
		if instance.Name == wanted {
			return instance, nil
		}
	}
	if len(instances) == 0 {
		return Instance{}, fmt.Errorf("instance %q: %w", wanted, ErrNoWorker)
	}
	return Instance{}, fmt.Errorf("instance %q: %w of this name, only %s", wanted, ErrNoWorker, names(instances))
}
