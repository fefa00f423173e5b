package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The file may not grow for a while, as on a full disk.
func TestWorkersLoseNothingWhenTheirDiskIsFull(t *testing.T) {
	t.Parallel()
	onQueues(t, "memory", func(t *testing.T, queue backend, inMemory bool) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "worker.db")
		f, s := fleetOnSQLite(t, path, queue)
		f.befall(t, s, fault{pause: time.Second, times: 2, strike: func(t *testing.T, f *fleet, _ int) {
			t.Helper()
			mayGrow := f.limitFiles(t, largestOf(t, path, path+"-shm"))
			<-time.After(2 * time.Second)
			mayGrow()
		}}, inMemory)
		s.wantIntact(t)
		said := ""
		for _, worker := range f.workers {
			said += worker.stderr.String()
		}
		if !strings.Contains(said, "ticks not claimed: they stay due") {
			t.Errorf("no worker says that its ticks stay due, want a file that is full:\n%s", said)
		}
	})
}

// limitFiles keeps the workers from making a file larger than size bytes, until the
// returned function is called.
func (f *fleet) limitFiles(t *testing.T, size int64) (unlimit func()) {
	t.Helper()
	set := func(n int, limit *unix.Rlimit) (before unix.Rlimit) {
		if err := unix.Prlimit(f.workers[n].cmd.Process.Pid, unix.RLIMIT_FSIZE, limit, &before); err != nil {
			t.Fatal(err)
		}
		return before
	}
	var before unix.Rlimit
	for n := range f.workers {
		before = set(n, nil)
		set(n, &unix.Rlimit{Cur: uint64(size), Max: before.Max})
	}
	return func() {
		for n := range f.workers {
			set(n, &before)
		}
	}
}

func largestOf(t *testing.T, paths ...string) (size int64) {
	t.Helper()
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size = max(size, info.Size())
	}
	return size
}
