package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/taktwork/takt/test/redistest"
)

// The kernel's flag of a Unix socket that listens.
const listens = "00010000"

func TestWorkerListensOnNothingButItsUnixSocket(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_INSTANCE=one")
	r, alone := startAlone(t, h)
	r.ready(t)
	table := newSocketTable(t, r.cmd.Process.Pid, alone)
	table.check(t, h.state+"/default/one.sock")
	// And once it has worked.
	h.ask(t, slowBin, "jobs", "trigger", "slow.queued").want(t, 0)
	r.waitFor(t, "slow job done")
	table.check(t, h.state+"/default/one.sock")
}

func TestAWorkerOnRedisIsConnectedToItAndNothingElse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	h := onRedis(t, server)
	r := h.start(t, slowBin, "run")
	r.ready(t)
	table := newSocketTable(t, r.cmd.Process.Pid, false)
	redis := fmt.Sprintf("0100007F:%04X", server.Port)
	rows := table.rows(t, "tcp")
	if len(rows) == 0 {
		t.Error("no socket of TCP is found: the test looks at the wrong table")
	}
	for _, row := range rows {
		if fields := strings.Fields(row); fields[2] != redis {
			t.Errorf("a socket of TCP that is not connected to Redis (%s): %s", redis, row)
		}
	}
	for _, protocol := range []string{"tcp6", "udp", "udp6", "raw", "raw6", "packet"} {
		if rows := table.rows(t, protocol); len(rows) > 0 {
			t.Errorf("the worker has sockets of %s:\n%s", protocol, strings.Join(rows, "\n"))
		}
	}
}

func TestASocketThatListensIsFound(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "udp"} {
		h := newHost(t, "SLOW_LISTEN="+network)
		r, alone := startAlone(t, h)
		r.ready(t)
		table := newSocketTable(t, r.cmd.Process.Pid, alone)
		if len(table.rows(t, network))+len(table.rows(t, network+"6")) == 0 {
			t.Errorf("a worker that listens on %s is not found out", network)
		}
	}
}

// startAlone starts a worker in a network namespace of its own: then every
// socket of the kernel's tables is the worker's. Where that is not allowed,
// the worker's sockets are told by its file descriptors.
func startAlone(t *testing.T, h *host) (r *running, alone bool) {
	t.Helper()
	for _, own := range []*syscall.SysProcAttr{
		{Cloneflags: syscall.CLONE_NEWNET},
		inUserNamespace(syscall.CLONE_NEWNET, os.Getuid()),
	} {
		r, err := h.tryStart(t, slowBin, own, "run")
		if err == nil {
			return r, true
		}
		t.Logf("no network namespace: %v", err)
	}
	return h.start(t, slowBin, "run"), false
}

// inUserNamespace lets a process of ours have the id in a namespace of users
// where it may do what root may.
func inUserNamespace(flags uintptr, id int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getgid(), Size: 1}},
	}
}

// socketTable reads the kernel's tables of a process.
type socketTable struct {
	proc  string
	alone bool
}

func newSocketTable(t *testing.T, pid int, alone bool) *socketTable {
	t.Helper()
	table := &socketTable{proc: fmt.Sprintf("/proc/%d", pid), alone: alone}
	if _, err := os.ReadDir(table.proc + "/fd"); err != nil && !alone {
		t.Fatalf("cannot tell the worker's sockets from others: %v\n"+
			"Run this test as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1).", err)
	}
	return table
}

// check fails if the worker has a socket of TCP or UDP, or listens on another
// Unix socket than the one at path.
func (s *socketTable) check(t *testing.T, path string) {
	t.Helper()
	for _, protocol := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"} {
		if rows := s.rows(t, protocol); len(rows) > 0 {
			t.Errorf("the worker has sockets of %s:\n%s", protocol, strings.Join(rows, "\n"))
		}
	}
	var listening []string
	for _, row := range s.rows(t, "unix") {
		if fields := strings.Fields(row); fields[3] == listens {
			listening = append(listening, fields[len(fields)-1])
		}
	}
	if len(listening) != 1 || listening[0] != path {
		t.Errorf("the worker listens on %q, want %q alone", listening, path)
	}
}

// rows are the lines of a table that are about the worker.
func (s *socketTable) rows(t *testing.T, protocol string) []string {
	t.Helper()
	text, err := os.ReadFile(s.proc + "/net/" + protocol)
	if errors.Is(err, os.ErrNotExist) && strings.HasSuffix(protocol, "6") {
		return nil // a kernel without IPv6
	}
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(strings.TrimRight(string(text), "\n"), "\n")
	inodes := s.inodes(t)
	var rows []string
	for row := range strings.Lines(body) {
		if s.alone || containsField(row, inodes) {
			rows = append(rows, strings.TrimSpace(row))
		}
	}
	return rows
}

func containsField(row string, inodes map[string]bool) bool {
	for field := range strings.FieldsSeq(row) {
		if inodes[field] {
			return true
		}
	}
	return false
}

// inodes are those of the sockets that the worker has open.
func (s *socketTable) inodes(t *testing.T) map[string]bool {
	t.Helper()
	inodes := map[string]bool{}
	if s.alone {
		return inodes
	}
	links, err := filepath.Glob(s.proc + "/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatalf("no file descriptors below %s: %v", s.proc, err)
	}
	for _, link := range links {
		target, _ := os.Readlink(link) // a descriptor may be closed by now
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes
}
