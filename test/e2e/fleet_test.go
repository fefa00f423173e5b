package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fleet is a number of workers on one database, with a feature that notes what it
// does in a file of its own.
type fleet struct {
	env  []string
	file tickFile
	// started counts the workers that there ever were: each is an instance of its own.
	started int
	hosts   []*host
	workers []*running
	// names are those that the workers leave in the file; some were killed.
	names  []string
	killed map[string]bool
}

func newFleet(t *testing.T, workers int, env ...string) *fleet {
	t.Helper()
	if testing.Short() {
		t.Skip("fleets under faults are not tested with -short")
	}
	f := &fleet{
		env: env, file: newTickFile(t), hosts: make([]*host, workers), workers: make([]*running, workers),
		names: make([]string, workers), killed: map[string]bool{},
	}
	for n := range workers {
		f.start(t, n)
		f.workers[n].waitFor(t, ready)
	}
	return f
}

func (f *fleet) start(t *testing.T, n int) {
	t.Helper()
	f.started++
	instance := fmt.Sprint(f.started)
	f.names[n] = "worker-" + instance
	f.hosts[n] = newHost(t, append(slices.Clone(f.env), "FAULT_RECORDS="+string(f.file), "WORKER_INSTANCE="+instance)...)
	f.workers[n] = f.hosts[n].start(t, slowBin, "run", "--log", "json")
}

// killOne kills the worker, whatever it does, and starts another one in its place.
func (f *fleet) killOne(t *testing.T, n int) {
	t.Helper()
	f.killed[f.names[n]] = true
	f.workers[n].signal(t, syscall.SIGKILL)
	f.workers[n].exit(t, -1)
	f.start(t, n)
}

// stop ends the workers, which must be well.
func (f *fleet) stop(t *testing.T) {
	t.Helper()
	for n := range f.workers {
		f.hosts[n].waitForHealth(t, 0, "ok: running")
	}
	for _, worker := range f.workers {
		worker.signal(t, syscall.SIGTERM)
	}
	for _, worker := range f.workers {
		// A tick that goes to a queue in memory as the worker stops is given back.
		<-worker.done
		if strings.Contains(worker.stderr.String(), " given back") {
			worker.exit(t, 75)
		} else {
			worker.exit(t, 0)
		}
	}
}
