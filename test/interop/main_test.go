package interop_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/taktwork/takt/test/interop/node"
)

// everything tells whether all checks run, against all versions.
func everything() bool { return os.Getenv("TAKT_INTEROP") == "all" }

// leftOut counts what was not run, so that it can be said once.
var leftOut struct {
	sync.Mutex
	checks int
}

// beside is how many checks go on beside one another, unless -parallel says: they
// wait for Node, for leases to run out, and for blocked calls to end.
const beside = 4

func TestMain(m *testing.M) {
	if addr := os.Getenv(hangingAddr); addr != "" {
		fmt.Fprintln(os.Stderr, hang(addr))
		os.Exit(1)
	}
	if err := flag.Set("test.parallel", strconv.Itoa(max(beside, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	flag.Parse()
	code := m.Run()
	stopAgents()
	if n := leftOut.checks; n > 0 {
		fmt.Printf("interop: %d runs of checks against Node were left out; make interop runs all of them\n", n)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// agents are the Node processes that tests share, one a version.
var agents struct {
	sync.Mutex
	byVersion map[string]*node.Agent
}

// sharedAgent returns the agent of the version, started by the first who asks.
func sharedAgent(t *testing.T, version string) *node.Agent {
	t.Helper()
	agents.Lock()
	defer agents.Unlock()
	if agent := agents.byVersion[version]; agent != nil {
		return agent
	}
	agent, err := node.Start(version)
	if err != nil {
		t.Fatal(err)
	}
	if agents.byVersion == nil {
		agents.byVersion = map[string]*node.Agent{}
	}
	agents.byVersion[version] = agent
	return agent
}

func stopAgents() {
	agents.Lock()
	defer agents.Unlock()
	for _, agent := range agents.byVersion {
		agent.Stop()
	}
}

// part says whether a check belongs to what make test runs.
type part bool

const (
	// fast checks run in make test, against one version.
	fast part = true
	// full checks run in make interop alone.
	full part = false
)

// fastVersion is what make test runs against: what "^5.70.1", the range of
// the reference system, resolves to.
const fastVersion = node.V5Last

// forVersions runs the check against each version of BullMQ.
func forVersions(t *testing.T, in part, check func(*testing.T, *lab)) {
	t.Helper()
	forSome(t, in, node.Versions(), check)
}

// forSome is forVersions for what only some versions have.
func forSome(t *testing.T, in part, versions []string, check func(*testing.T, *lab)) {
	t.Helper()
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			leaveOut(t, in == full || version != fastVersion)
			check(t, newLab(t, version))
		})
	}
}

// leaveOut skips the test unless everything runs, and counts it.
func leaveOut(t *testing.T, slow bool) {
	t.Helper()
	if testing.Short() || (slow && !everything()) {
		leftOut.Lock()
		leftOut.checks++
		leftOut.Unlock()
		t.Skip("left out; make interop runs it")
	}
}
