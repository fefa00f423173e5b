// Command slowworker is a worker as a user would build one, with jobs that
// take long, fail and hang, for the tests of package e2e.
package main

import (
	"os"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"
)

func main() {
	modules := []app.Option{lifecycle.Module(), module()}
	if os.Getenv(swapRecords) != "" {
		modules = append(modules, swapModule())
	}
	if path := os.Getenv(tickRecords); path != "" {
		modules = append(modules, tickModule(path))
	}
	if path := os.Getenv(faultRecords); path != "" {
		modules = append(modules, faultModule(path))
	}
	os.Exit(cli.Main(cli.Build{Version: "slow"}, modules...))
}
