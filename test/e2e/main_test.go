package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	// What the binaries are built from, so that a cached result of these
	// tests is not taken for one of changed code.
	_ "github.com/taktwork/takt/app/cli"
	_ "github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/test/pgtest"
)

// The binaries under test, built once.
var workerBin, slowBin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// beside is how many tests go on beside one another, unless -parallel says: most of
// their time they wait for workers.
const beside = 6

func run(m *testing.M) int {
	if err := flag.Set("test.parallel", strconv.Itoa(max(beside, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "takt-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a directory of temporary files
	workerBin, slowBin = filepath.Join(dir, "worker"), filepath.Join(dir, "slowworker")
	for _, build := range [][]string{
		{"-ldflags", "-s -w -X main.version=e2e", "-o", workerBin, "github.com/taktwork/takt/cmd/worker"},
		{"-o", slowBin, "github.com/taktwork/takt/test/e2e/slowworker"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath"}, build...)...) //nolint:noctx // ends by itself
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s\n%s", cmd, err, output)
			return 1
		}
	}
	code := pgtest.Main(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
