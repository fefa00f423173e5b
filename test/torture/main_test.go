package torture_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// everything tells whether the tests run in full size.
func everything() bool { return os.Getenv("TAKT_TORTURE") == "all" }

// sized returns what a test of this size takes: whole in make torture-redis,
// bounded in make test.
func sized[T any](bounded, whole T) T {
	if everything() {
		return whole
	}
	return bounded
}

// TestMain is also the main function of the processes that tests start: the
// test binary is executed again, with its part in the environment.
func TestMain(m *testing.M) {
	if part := os.Getenv(partVariable); part != "" {
		os.Exit(play(part))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(sized(4, 2)*runtime.GOMAXPROCS(0)/2)); err != nil {
		panic(err)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
