package redisqueue_test

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// beside is how many tests that may do so run beside one another at least: most
// of them wait most of the time, for servers and for leases to run out, and would
// leave two processors idle. What the command line says comes later, and counts.
const beside = 4

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(max(beside, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
