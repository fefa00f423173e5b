package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/control"
)

func TestSocketAndDirectoriesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(stateDir(t), "not", "there")
	r := start(t, config(dir, "a"))
	for path, want := range map[string]os.FileMode{
		dir:                     os.ModeDir | 0o700,
		filepath.Dir(r.Path()):  os.ModeDir | 0o700,
		r.Path():                os.ModeSocket | 0o600,
		lockOf(r.Path()):        0o600,
		filepath.Dir(dir) + "/": os.ModeDir | 0o700,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("mode of %s = %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestNamesAndPathsThatCannotHoldASocketAreRefused(t *testing.T) {
	dir := stateDir(t)
	long := dir + "/" + strings.Repeat("d", 90)
	cases := map[string]struct {
		dir, namespace, instance, part string
	}{
		"relative directory":  {"state", "default", "a", "WORKER_STATE_DIR"},
		"empty directory":     {"", "default", "a", "WORKER_STATE_DIR"},
		"namespace climbs":    {dir, "..", "a", "namespace"},
		"namespace in upper":  {dir, "Prod", "a", "namespace"},
		"instance climbs":     {dir, "default", "../a", "instance"},
		"instance is a dot":   {dir, "default", ".", "instance"},
		"instance is empty":   {dir, "default", "", "instance"},
		"path is too long":    {long, "default", "a", "WORKER_STATE_DIR"},
		"instance has a line": {dir, "default", "a\n", "instance"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			wantListenError(t, control.Config{StateDir: c.dir, Namespace: c.namespace, Instance: c.instance}, control.ErrConfig, c.part)
		})
	}
	if exists(long) {
		t.Errorf("%s was made, want nothing made for a path that is too long", long)
	}
}

func TestThePathMayHaveExactlyTheBytesASocketPathHolds(t *testing.T) {
	dir := stateDir(t)
	rest := control.MaxPath - len(dir) - len("//default/a.sock")
	r := start(t, config(dir+"/"+strings.Repeat("d", rest), "a"))
	if len(r.Path()) != control.MaxPath {
		t.Fatalf("len(Path()) = %d, want %d", len(r.Path()), control.MaxPath)
	}
	if err := r.Call(t.Context(), "echo", nil, nil); err != nil {
		t.Errorf("Call() = %v, want nil", err)
	}
	wantListenError(t, config(dir+"/"+strings.Repeat("d", rest+1), "a"), control.ErrConfig, "105 bytes")
}

func TestADirectoryThatOthersReachIsRefusedByBothSides(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, dir string)
		part  string
	}{
		"wide state directory": {func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Chmod(dir, 0o750))
		}, "want 0700"},
		"wide namespace": {func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Chmod(makeNamespace(t, dir), 0o701))
		}, "want 0700"},
		"namespace is a symbolic link": {func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Symlink(stateDir(t), filepath.Join(dir, "default")))
		}, "symbolic link"},
		"namespace is a file": {func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.WriteFile(filepath.Join(dir, "default"), nil, 0o600))
		}, "not a directory"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := stateDir(t)
			c.spoil(t, dir)
			wantListenError(t, config(dir, "a"), control.ErrConfig, c.part)
			if _, err := control.Instances(dir, "default"); err == nil || !strings.Contains(err.Error(), c.part) {
				t.Errorf("Instances() = %v, want an error with %q", err, c.part)
			}
		})
	}
}

func TestASymbolicLinkAsStateDirectoryIsRefused(t *testing.T) {
	link := filepath.Join(stateDir(t), "link")
	must(t, os.Symlink(stateDir(t), link))
	wantListenError(t, config(link, "a"), control.ErrConfig, "symbolic link")
	wantListenError(t, config(link+"/", "a"), control.ErrConfig, "symbolic link")
}

func TestAStateDirectoryOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	shared := stateDir(t)
	dir := filepath.Join(shared, "theirs")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Mkdir(filepath.Join(dir, "default"), 0o700))
	must(t, os.Chown(filepath.Join(dir, "default"), 12345, 12345))
	must(t, os.Chown(dir, 12345, 12345))
	wantListenError(t, config(dir, "a"), control.ErrConfig, "belongs to uid 12345, want uid 0")

	if _, err := control.Instances(dir, "default"); err != nil {
		t.Errorf("Instances() for root = %v, want nil", err)
	}
	must(t, os.Chmod(shared, os.ModeSticky|0o777))
	if _, err := control.Instances(dir, "default"); err == nil || !strings.Contains(err.Error(), "belongs to uid 12345") {
		t.Errorf("Instances() for root where anybody makes directories = %v, want a refusal", err)
	}
}

func TestWhatIsNoSocketIsRefusedAndNotDeleted(t *testing.T) {
	dir := stateDir(t)
	namespace := makeNamespace(t, dir)
	target := filepath.Join(stateDir(t), "target")
	must(t, os.WriteFile(target, []byte("precious"), 0o600))
	path := filepath.Join(namespace, "a.sock")

	for name, put := range map[string]func() error{
		"regular file":  func() error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"symbolic link": func() error { return os.Symlink(target, path) },
		"dangling link": func() error { return os.Symlink(target+"x", path) },
		"directory":     func() error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, put())
			before, err := os.Lstat(path)
			must(t, err)
			wantListenError(t, config(dir, "a"), control.ErrConfig, "not a socket", path)
			after, err := os.Lstat(path)
			must(t, err)
			if !os.SameFile(before, after) {
				t.Errorf("%s was replaced, want it left alone", path)
			}
			if exists(lockOf(path)) {
				t.Errorf("%s stays, want it removed", lockOf(path))
			}
			must(t, os.Remove(path))
		})
	}
	if text, err := os.ReadFile(target); err != nil || string(text) != "precious" {
		t.Errorf("link's target = %q, %v, want it untouched", text, err)
	}
}

func TestALockThatIsNoRegularFileIsRefused(t *testing.T) {
	target := filepath.Join(stateDir(t), "target")
	must(t, os.WriteFile(target, nil, 0o600))
	for name, put := range map[string]func(path string) error{
		"symbolic link": func(path string) error { return os.Symlink(target, path) },
		"pipe":          func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := stateDir(t)
			lock := filepath.Join(makeNamespace(t, dir), "a.lock")
			must(t, put(lock))
			wantListenError(t, config(dir, "a"), control.ErrConfig, lock)
			if !exists(lock) {
				t.Errorf("%s is gone, want it left alone", lock)
			}
		})
	}
}

func TestALiveInstanceIsNotReplaced(t *testing.T) {
	dir := stateDir(t)
	r := start(t, config(dir, "a"))
	wantListenError(t, config(dir, "a"), control.ErrInUse, `instance "a"`)
	if err := r.Call(t.Context(), "echo", nil, nil); err != nil {
		t.Errorf("Call() after the refused second Listen = %v, want nil", err)
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	for name, leftover := range map[string]func(path string) error{
		"with its lock file": func(path string) error { return os.WriteFile(lockOf(path), nil, 0o600) },
		"without":            func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := stateDir(t)
			path := filepath.Join(makeNamespace(t, dir), "a.sock")
			abandon(t, path)
			must(t, leftover(path))
			if got := mustInstances(t, dir); len(got) != 0 {
				t.Errorf("Instances() = %v, want none", got)
			}
			r := start(t, config(dir, "a"))
			if err := r.Call(t.Context(), "echo", nil, nil); err != nil {
				t.Errorf("Call() = %v, want nil", err)
			}
		})
	}
}

func TestListenSweepsWhatDeadNeighboursLeftAndNothingElse(t *testing.T) {
	dir := stateDir(t)
	namespace := makeNamespace(t, dir)
	live := start(t, config(dir, "live"))
	abandon(t, filepath.Join(namespace, "4711.sock"))
	for _, name := range []string{"4711.lock", "4712.lock", "4712.sock", "notes.txt"} {
		must(t, os.WriteFile(filepath.Join(namespace, name), nil, 0o600))
	}
	start(t, config(dir, "new"))
	entries, err := os.ReadDir(namespace)
	must(t, err)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	want := []string{"4712.sock", "live.lock", "live.sock", "new.lock", "new.sock", "notes.txt"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("namespace after Listen (-want +got):\n%s", diff)
	}
	if err := live.Call(t.Context(), "echo", nil, nil); err != nil {
		t.Errorf("Call() of the live neighbour = %v, want nil", err)
	}
}

func TestCloseRemovesItsFilesAndLeavesAFileThatTookTheirPlace(t *testing.T) {
	dir := stateDir(t)
	r := start(t, config(dir, "a"))
	must(t, r.Close(t.Context()))
	if exists(r.Path()) || exists(lockOf(r.Path())) {
		t.Error("socket or lock stay after Close, want both removed")
	}
	again := start(t, config(dir, "a"))
	must(t, os.Remove(again.Path()))
	must(t, os.WriteFile(again.Path(), nil, 0o600))
	if got := mustInstances(t, dir); len(got) != 0 {
		t.Errorf("Instances() with a file in the socket's place = %v, want none", got)
	}
	if err := again.Close(t.Context()); err == nil || !exists(again.Path()) {
		t.Errorf("Close() = %v with a file in the socket's place, want an error and the file", err)
	}
}

func TestCloseSparesTheSuccessorOfAWorkerWhoseLockFileWasRemoved(t *testing.T) {
	dir := stateDir(t)
	first := start(t, config(dir, "a"))
	must(t, os.Remove(lockOf(first.Path())))
	second := start(t, config(dir, "a"))
	must(t, first.Close(t.Context()))
	if got := mustInstances(t, dir); len(got) != 1 {
		t.Errorf("Instances() = %v, want the successor", got)
	}
	must(t, second.Call(t.Context(), "echo", nil, nil))
}

func TestANameHasOneHolderHoweverManyComeAndGo(t *testing.T) {
	dir := stateDir(t)
	var holders, turns atomic.Int32
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range 100 {
				server, err := control.Listen(config(dir, "a"))
				if errors.Is(err, control.ErrInUse) {
					continue
				}
				if err != nil {
					t.Errorf("Listen() = %v, want nil or ErrInUse", err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("holders = %d, want 1", n)
				}
				turns.Add(1)
				runtime.Gosched()
				holders.Add(-1)
				if err := server.Close(t.Context()); err != nil {
					t.Errorf("Close() = %v, want nil", err)
				}
			}
		})
	}
	workers.Wait()
	if turns.Load() == 0 {
		t.Error("nobody got the name")
	}
}

func TestAWorkerStartsOnceALookAtItsNameIsOver(t *testing.T) {
	dir := stateDir(t)
	look, err := os.Create(filepath.Join(makeNamespace(t, dir), "a.lock"))
	must(t, err)
	must(t, syscall.Flock(int(look.Fd()), syscall.LOCK_SH|syscall.LOCK_NB))
	over := make(chan error, 1)
	time.AfterFunc(30*time.Millisecond, func() { over <- look.Close() })
	start(t, config(dir, "a"))
	must(t, <-over)
}

func TestClientsThatLookDoNotKeepAWorkerFromStarting(t *testing.T) {
	dir := stateDir(t)
	start(t, config(dir, "other"))
	ctx, cancel := context.WithCancel(t.Context())
	var client sync.WaitGroup
	client.Go(func() {
		for ctx.Err() == nil {
			if _, err := control.Instances(dir, "default"); err != nil {
				t.Errorf("Instances() = %v, want nil", err)
				return
			}
		}
	})
	for range 100 {
		server, err := control.Listen(config(dir, "a"))
		if err != nil {
			t.Errorf("Listen() = %v, want nil", err)
			break
		}
		must(t, server.Close(t.Context()))
	}
	cancel()
	client.Wait()
}

// abandon leaves a socket as a killed process does.
func abandon(t *testing.T, path string) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	listener.SetUnlinkOnClose(false)
	must(t, listener.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
