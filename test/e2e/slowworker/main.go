// Command slowworker is a worker as a user would build one, with jobs that
// take long, fail and hang, for the tests of package e2e.
package main

import (
	"os"

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"
)

func main() {
	os.Exit(cli.Main(cli.Build{Version: "slow"}, lifecycle.Module(), module()))
}
